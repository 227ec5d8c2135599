import Foundation
import Glibc
package import Hypervisor
package import Logging
import NIOConcurrencyHelpers

/// VMs under QEMU alone: those whose monitor (QMP) is a socket that the owner named, whoever started them, and those
/// that this driver has loaded. No daemon is needed.
///
/// Needs QEMU 6.0 or later for background images; with an older one, or without the kernel's write-protect faults, the
/// guest stays paused while its image is saved.
package final class QEMUDriver: HypervisorDriver {
    package static let name = "qemu"
    package var name: String { Self.name }

    let folder: GuestFolder
    let thread: HostThread
    let monitors = GuestMonitors()
    let keeper: ImageKeeper?
    let logger: Logger
    private let emulators = InstalledEmulators()
    /// Where each VM was seen last.
    private let places = NIOLockedValueBox<[String: String]>([:])
    /// The cuts that have not come to their end, by UUID.
    let cuts = NIOLockedValueBox<[String: QEMUCut]>([:])

    /// - Parameters:
    ///   - sockets: patterns, as of a shell, of the monitor sockets of guests that others start.
    ///   - machines: folder of the descriptions and sockets of guests that this driver loads.
    ///   - keeper: reads an image on should this process be killed. Without one that may hang the guest.
    ///   - namespace: file of the network namespace in which the taps are; nil: that of this process.
    package init(
        sockets: [String], machines: String, keeper: ImageKeeper? = nil, namespace: String? = nil, logger: Logger
    ) {
        folder = GuestFolder(patterns: sockets, machines: machines)
        thread = HostThread(namespace: namespace)
        self.keeper = keeper
        self.logger = logger
    }

    package var capabilities: DriverCapabilities {
        DriverCapabilities(lacks: [.daemon: "there is no daemon: each QEMU answers for itself"])
    }

    package func offer() async throws(HypervisorError) -> [String: String] { await emulators.offer() }

    // MARK: What there is

    package func machines() async throws(HypervisorError) -> [VirtualMachine] {
        try await thread.run { () throws(HypervisorError) in
            var machines: [String: VirtualMachine] = [:]
            for path in self.folder.sockets {
                do throws(HypervisorError) {
                    let machine = try self.look(at: path)
                    machines[machine.uuid] = machines[machine.uuid] ?? machine
                } catch {
                    switch error {
                    // Left by a process that has ended, or ended while we looked.
                    case .notRunning, .unknownMachine: continue
                    // The same, a moment later.
                    case .unavailable where MonitorSocket.isAbandoned(path): continue
                    default:
                        guard let machine = Self.unreachable(path, error) else { throw error }
                        machines[machine.uuid] = machines[machine.uuid] ?? machine
                    }
                }
            }
            for description in self.folder.descriptions where machines[description.uuid] == nil {
                machines[description.uuid] = Self.off(description)
            }
            return machines.values.sorted { ($0.name, $0.uuid) < ($1.name, $1.uuid) }
        }
    }

    package func machine(_ uuid: String) async throws(HypervisorError) -> VirtualMachine {
        let uuid = uuid.lowercased()
        // A guest that stands still must not wait for our questions.
        if let machine = cuts.withLockedValue({ $0[uuid]?.machineWhileCut }) { return machine }
        return try await thread.run { () throws(HypervisorError) in
            if let guest = try self.guest(uuid) { return guest.machine }
            guard let description = self.folder.description(of: uuid) else { throw Self.unknown(uuid) }
            return Self.off(description)
        }
    }

    package func description(of uuid: String) async throws(HypervisorError) -> String {
        let uuid = uuid.lowercased()
        if let text = cuts.withLockedValue({ $0[uuid]?.description }) { return text }
        return try await thread.run { () throws(HypervisorError) in
            if let guest = try self.guest(uuid) { return guest.description.text }
            guard let description = self.folder.description(of: uuid) else { throw Self.unknown(uuid) }
            return description.text
        }
    }

    static func unknown(_ uuid: String) -> HypervisorError {
        .unknownMachine(
            "There is no VM \(uuid) under QEMU here. See whether `qemu.sockets` in the agent's configuration names its "
                + "monitor.")
    }

    private static func off(_ description: GuestDescription) -> VirtualMachine {
        VirtualMachine(
            uuid: description.uuid, name: description.name, state: .off, memory: description.memory, nics: [],
            disks: description.disks.map {
                VirtualMachine.Disk(target: $0.target, path: $0.path, format: $0.format, readOnly: $0.readOnly)
            }, requirements: description.requirements, driver: name)
    }

    private func look(at path: String) throws(HypervisorError) -> VirtualMachine {
        // While a cut is made its monitor is its own.
        let cut = cuts.withLockedValue { $0.values.first { $0.path == path }?.machineWhileCut }
        if let cut { return cut }
        let guest = try monitors.use(path) { (monitor) throws(HypervisorError) in
            try RunningGuest(monitor, path: path)
        }
        places.withLockedValue { $0[guest.uuid] = path }
        return guest.machine
    }

    /// What can be told of a VM whose monitor does not serve us: its identity, by the command line of its process.
    private static func unreachable(_ path: String, _ error: HypervisorError) -> VirtualMachine? {
        guard let process = emulator(at: path) else { return nil }
        let line = GuestCommandLine(process.arguments)
        guard let uuid = line.uuid else { return nil }
        var machine = VirtualMachine(
            uuid: uuid, name: line.name ?? uuid, state: .other, memory: 0, nics: [], disks: [],
            requirements: ["driver": name, "hypervisor": "qemu"], driver: name)
        machine.obstacle = error.text
        return machine
    }

    /// The QEMU that has that monitor.
    private static func emulator(at path: String) -> GuestProcess? {
        if let server = MonitorSocket.server(at: path).flatMap({ GuestProcess(pid: $0) }) {
            return server.isQEMU ? server : nil
        }
        // One that hangs takes no client, and so does not tell who it is.
        return GuestProcess.find(monitor: path)
    }

    /// The VM if it has a process. Blocks.
    func guest(_ uuid: String) throws(HypervisorError) -> RunningGuest? {
        guard let (monitor, path) = try monitor(uuid) else { return nil }
        do throws(HypervisorError) {
            return try RunningGuest(monitor, path: path)
        } catch {
            // It has ended while we looked.
            if monitor.isClosed, !isThere(monitor) { return nil }
            throw error
        }
    }

    private func isThere(_ monitor: MonitorSocket) -> Bool {
        monitor.peerProcess.flatMap { GuestProcess(pid: $0) }?.isQEMU ?? false
    }

    /// The monitor of the VM if it has a process. Blocks.
    func monitor(_ uuid: String) throws(HypervisorError) -> (MonitorSocket, String)? {
        if let cut = cuts.withLockedValue({ $0[uuid] }), let monitor = cut.monitor, !monitor.isClosed {
            return (monitor, cut.path)
        }
        let last = places.withLockedValue { $0[uuid] }
        var hidden: HypervisorError?
        for path in [last].compactMap({ $0 }) + folder.sockets.filter({ $0 != last }) {
            do throws(HypervisorError) {
                let found = try monitors.use(path) { (monitor) throws(HypervisorError) in
                    try RunningGuest.uuid(monitor) == uuid ? monitor : nil
                }
                guard let found else { continue }
                places.withLockedValue { $0[uuid] = path }
                return (found, path)
            } catch {
                switch error {
                case .notRunning, .unknownMachine: continue
                default:
                    guard let server = Self.emulator(at: path) else { continue }
                    // Another VM's monitor that is out of order is nothing to this one.
                    if let named = GuestCommandLine(server.arguments).uuid, named != uuid { continue }
                    hidden = hidden ?? error
                }
            }
        }
        if let hidden { throw hidden }
        return nil
    }

    // MARK: Life

    package func resume(_ uuid: String) async throws(HypervisorError) {
        try await withGuest(uuid) { (monitor) throws(HypervisorError) in
            if try monitor.runState() == "running" { return }
            try monitor.execute(#"{"execute":"cont"}"#)
        }
    }

    package func endWriteError(_ uuid: String) async throws(HypervisorError) {
        let uuid = uuid.lowercased()
        try await thread.run { () throws(HypervisorError) in
            guard let (monitor, _) = try self.monitor(uuid) else { return }
            try monitor.endIOError(self.logger)
        }
    }

    package func announce(_ uuid: String) async throws(HypervisorError) {
        try await withGuest(uuid) { (monitor) throws(HypervisorError) in
            try monitor.execute(
                #"{"execute":"announce-self","arguments":{"initial":20,"max":200,"rounds":4,"step":50}}"#)
        }
    }

    /// For what only a VM with a process can do.
    private func withGuest(
        _ uuid: String, _ body: @escaping @Sendable (MonitorSocket) throws(HypervisorError) -> Void
    ) async throws(HypervisorError) {
        let uuid = uuid.lowercased()
        try await thread.run { () throws(HypervisorError) in
            if let (monitor, _) = try self.monitor(uuid) { return try body(monitor) }
            guard let description = self.folder.description(of: uuid) else { throw Self.unknown(uuid) }
            throw .notRunning("\(description.name) is off.", state: "off")
        }
    }

    package func keep(_ uuid: String) async throws(HypervisorError) {
        let uuid = uuid.lowercased()
        try await thread.run { () throws(HypervisorError) in
            guard let guest = try self.guest(uuid) else {
                if self.folder.description(of: uuid) == nil { throw Self.unknown(uuid) }
                return
            }
            guard guest.refusals.isEmpty else {
                throw .unsupported("\(guest.name) cannot be kept: it has \(guest.refusals.joined(separator: ", ")).")
            }
            var description = guest.description
            for (disk, backend) in guest.disks {
                // What a cut has diverted comes back to the file that the description names.
                guard let backend, !backend.node.hasPrefix(Overlays.prefix) else { continue }
                disk.replace(in: &description.options, path: backend.file, format: backend.format)
            }
            try self.folder.keep(description)
        }
    }

    package func destroy(_ uuid: String) async throws(HypervisorError) {
        let uuid = uuid.lowercased()
        try await thread.run { () throws(HypervisorError) in
            guard let (monitor, _) = try self.monitor(uuid) else { return }
            let owner = monitor.peerProcess.flatMap { GuestProcess(pid: $0) }
            guard let process = owner?.isQEMU == true ? owner : GuestProcess.find(uuid: uuid) else {
                throw .failed("The process of \(uuid) cannot be found, so it cannot be ended.")
            }
            guard process.end() else { throw .failed("The process \(process.pid) of \(uuid) does not end.") }
            self.folder.sweep(uuid)
        }
    }

    /// Ends, for tests, what the kernel ends when an agent is killed.
    package func cutOff() { monitors.cutOff() }
}
