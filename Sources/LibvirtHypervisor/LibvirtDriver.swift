import CLibvirt
import FoundationEssentials
import Glibc
package import Hypervisor
package import Logging

/// VMs under libvirt and QEMU.
///
/// Needs libvirt 8.2 or later (file descriptors through the monitor) and QEMU 6.0 or later for background images;
/// with an older QEMU, or without the kernel's write-protect faults, the guest stays paused while its image is saved.
package final class LibvirtDriver: HypervisorDriver {
    package let name = "libvirt"
    let connection: LibvirtConnection
    private let keeper: ImageKeeper?
    let merges = PendingMerges()
    let logger: Logger

    /// - Parameters:
    ///   - uri: as in `virsh -c`, such as `qemu:///system`.
    ///   - keeper: reads an image on should this process be killed. Without one that may hang the guest.
    package init(uri: String, keeper: ImageKeeper? = nil, logger: Logger) {
        connection = LibvirtConnection(uri: uri)
        self.keeper = keeper
        self.logger = logger
    }

    /// Everything under QEMU, and with libvirt's other drivers what needs no monitor.
    package var capabilities: DriverCapabilities {
        guard let why = Self.lackOfMonitor(uri: connection.uri) else { return .complete }
        return DriverCapabilities(
            lacks: [.cuts: why, .backgroundImages: why, .loads: why, .announcements: why, .writeErrors: why])
    }

    static func lackOfMonitor(uri: String) -> String? {
        let scheme = uri.prefix { $0 != ":" && $0 != "+" }
        if scheme == "qemu" || scheme.isEmpty { return nil }
        return "libvirt's driver for `\(scheme)` has no QEMU monitor"
    }

    // MARK: What there is

    package func machines() async throws(HypervisorError) -> [VirtualMachine] {
        try await connection.run { [logger] handle throws(HypervisorError) in
            var list: UnsafeMutablePointer<virDomainPtr?>?
            let count = virConnectListAllDomains(handle.pointer, &list, 0)
            guard count >= 0, let list else { throw LibvirtFailure.last().error(doing: "list the VMs") }
            defer {
                for index in 0..<Int(count) { if let left = list[index] { virDomainFree(left) } }
                free(list)
            }
            var machines: [VirtualMachine] = []
            for index in 0..<Int(count) {
                guard let pointer = list[index] else { continue }
                list[index] = nil
                let domain = LibvirtDomain(owning: pointer, on: handle)
                do throws(HypervisorError) {
                    machines.append(try Self.describe(domain))
                } catch {
                    switch error {
                    // Half a list would look like the whole one.
                    case .unavailable: throw error
                    // One that was undefined while we looked is no reason to show nothing.
                    case .unknownMachine: continue
                    default: logger.warning("VM left out of the list", metadata: ["error": "\(error)"])
                    }
                }
            }
            return machines.sorted { $0.name < $1.name }
        }
    }

    package func machine(_ uuid: String) async throws(HypervisorError) -> VirtualMachine {
        try await connection.run { handle throws(HypervisorError) in
            try Self.describe(try LibvirtDomain(uuid: uuid, on: handle))
        }
    }

    package func description(of uuid: String) async throws(HypervisorError) -> String {
        try await connection.run { handle throws(HypervisorError) in
            try LibvirtDomain(uuid: uuid, on: handle).xml(VIR_DOMAIN_XML_SECURE, VIR_DOMAIN_XML_MIGRATABLE)
        }
    }

    package func offer() async throws(HypervisorError) -> [String: String] {
        try await connection.run { handle throws(HypervisorError) in
            var offer = ["hypervisor": "qemu"]
            offer[HostProcessor.key] = HostProcessor.identity
            var version: UInt = 0
            if virConnectGetVersion(handle.pointer, &version) == 0 {
                offer["version"] = "\(HypervisorVersion(packed: version))"
            }
            guard let text = virConnectGetCapabilities(handle.pointer) else {
                throw LibvirtFailure.last().error(doing: "say what it can run")
            }
            defer { free(text) }
            offer.merge(HostCapabilities.offer(in: String(cString: text))) { _, new in new }
            return offer
        }
    }

    private static func describe(_ domain: borrowing LibvirtDomain) throws(HypervisorError) -> VirtualMachine {
        let description = try DomainDescription(domain.xml(VIR_DOMAIN_XML_SECURE))
        var uuid = [CChar](repeating: 0, count: Int(VIR_UUID_STRING_BUFLEN))
        guard virDomainGetUUIDString(domain.pointer, &uuid) == 0 else {
            throw LibvirtFailure.last().error(doing: "read the UUID of \(domain.name)")
        }
        var version: UInt = 0
        virConnectGetVersion(domain.connection.pointer, &version)
        var requirements = description.requirements
        requirements["driver"] = "libvirt"
        requirements["hypervisor"] = "qemu"
        requirements["version"] = "\(HypervisorVersion(packed: version))"
        if description.hasHostProcessor { requirements[HostProcessor.key] = HostProcessor.identity }
        return VirtualMachine(
            uuid: String(decoding: uuid.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self).lowercased(),
            name: domain.name, state: try domain.state(), memory: description.memory, nics: description.nics,
            disks: description.disks, requirements: requirements)
    }

    // MARK: The cut

    package func prepareCut(
        of uuid: String, workspace: String, sink: any ByteSink
    ) async throws(HypervisorError) -> any PreparedCut {
        // First, since it may change which disks the VM has.
        await merges.settled(uuid)
        try await recover(workspace: workspace, only: uuid)
        let machine = try await machine(uuid)
        guard machine.state == .running else {
            throw .notRunning(
                "\(machine.name) is \(machine.state.rawValue), and only a running VM can be snapshotted. Start or "
                    + "resume it first.", state: machine.state.rawValue)
        }
        if let why = Self.lackOfMonitor(uri: connection.uri) {
            throw .unsupported("\(machine.name) cannot be cut: \(why). Name a QEMU under `libvirt`, as qemu:///system.")
        }
        if Quirk.noDescriptorsThroughTheMonitor.applies(to: try await version()) {
            throw .unsupported("\(machine.name) cannot be cut by this libvirt. It must be 8.2 or later.")
        }
        let text = try await description(of: uuid)
        let description = try DomainDescription(text)
        if let device = description.blockingDevices.first {
            throw .unsupported("\(machine.name) has \(device), whose state no image holds. Remove it from the VM.")
        }
        var journal = try Self.journal(for: machine, in: workspace, bandwidth: try await bandwidth(of: uuid))
        let variables = description.variables.map { (original: $0, copy: "\(workspace)/\(machine.uuid)-nvram.bin") }
        journal.copies = variables.map { [$0.copy] }
        try journal.write(to: workspace)
        do throws(HypervisorError) {
            for overlay in journal.overlays {
                try await ImageTool.createOverlay(
                    overlay.overlay, backing: overlay.original, format: overlay.originalFormat)
            }
            let (stream, remote) = try ImageStream.pair()
            defer { close(remote) }
            if let keeper { try await keeper.start(keeping: stream.anotherEnd()) }
            let method = try await handOver(
                remote, to: uuid, memoryNeedsPause: description.memoryNeedsPause)
            if method == .background { try stream.block() }
            await DiskFlush.flush(journal.overlays.map(\.original))
            stream.start(header: SaveImage.header(description: text), into: sink)
            let diverted = Set(journal.overlays.map(\.target))
            return LibvirtCut(
                uuid: uuid, method: method, workspace: workspace, connection: connection, journal: journal,
                variables: variables, otherDisks: machine.disks.map(\.target).filter { !diverted.contains($0) },
                stream: stream, process: GuestProcess.find(uuid: uuid), merges: merges, logger: logger)
        } catch {
            for overlay in journal.overlays { unlink(overlay.overlay) }
            journal.remove(from: workspace)
            throw error
        }
    }

    private static func journal(
        for machine: VirtualMachine, in workspace: String, bandwidth: UInt64?
    ) throws(HypervisorError) -> CutJournal {
        var overlays: [CutJournal.Overlay] = []
        for disk in machine.disks where !disk.readOnly {
            guard let path = disk.path else {
                throw .unsupported(
                    "Disk \(disk.target) of \(machine.name) is not a file. Only file-backed disks can be cut.")
            }
            overlays.append(
                CutJournal.Overlay(
                    target: disk.target, original: path, originalFormat: disk.format,
                    overlay: "\(workspace)/\(machine.uuid)-\(disk.target).overlay.qcow2"))
        }
        return CutJournal(uuid: machine.uuid, overlays: overlays, bandwidth: bandwidth)
    }

    /// Of the daemon, which may be another than that of the library here.
    private func version() async throws(HypervisorError) -> HypervisorVersion {
        try await connection.run { handle throws(HypervisorError) in
            var packed: UInt = 0
            guard virConnectGetLibVersion(handle.pointer, &packed) == 0 else {
                throw LibvirtFailure.last().error(doing: "read libvirt's version")
            }
            return HypervisorVersion(packed: packed)
        }
    }

    private func bandwidth(of uuid: String) async throws(HypervisorError) -> UInt64? {
        try await connection.run { handle throws(HypervisorError) in
            let domain = try LibvirtDomain(uuid: uuid, on: handle)
            return MonitorAnswer.bandwidth(in: try domain.execute(#"{"execute":"query-migrate-parameters"}"#))
        }
    }

    /// Gives QEMU its end of the image socket and chooses the method. By descriptor and not by path, so that neither
    /// seccomp, AppArmor nor file ownership stand between QEMU and the agent.
    private func handOver(
        _ descriptor: Int32, to uuid: String, memoryNeedsPause: String?
    ) async throws(HypervisorError) -> CutMethod {
        try await connection.run { handle throws(HypervisorError) in
            let domain = try LibvirtDomain(uuid: uuid, on: handle)
            if let reason = try domain.imageBlocker() {
                throw .unsupported("QEMU cannot save the state of \(domain.name): \(reason).")
            }
            return try domain.prepareImage(into: descriptor, memoryNeedsPause: memoryNeedsPause)
        }
    }

    // MARK: Recovery

    package func recover(workspace: String) async throws(HypervisorError) {
        await merges.settled()
        try await recover(workspace: workspace, only: nil)
    }

    private func recover(workspace: String, only uuid: String?) async throws(HypervisorError) {
        var failure: HypervisorError?
        for journal in CutJournal.all(in: workspace) where uuid == nil || journal.uuid == uuid {
            logger.notice("putting right what a killed agent left", metadata: ["vm": "\(journal.uuid)"])
            do throws(HypervisorError) {
                try await connection.run { [connection, logger] handle throws(HypervisorError) in
                    DomainWaking(uuid: journal.uuid, connection: connection, logger: logger).letRun(cancels: false)
                    guard let domain = try? LibvirtDomain(uuid: journal.uuid, on: handle), try domain.isActive() else {
                        return
                    }
                    domain.forgetImage(bandwidth: journal.bandwidth)
                }
                try await DiskMerge(connection: connection, logger: logger).restore(journal, in: workspace)
                try await connection.run { [connection, logger] handle throws(HypervisorError) in
                    try DomainWaking(uuid: journal.uuid, connection: connection, logger: logger).endIOError(on: handle)
                }
            } catch {
                // The others must not wait for the one that cannot be put right.
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }
}
