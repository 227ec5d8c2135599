import DesktopLab
import Foundation
import Hypervisor
import HypervisorConformance
import Logging

@testable import QEMUHypervisor

/// A real QEMU of the lab, started by its owner, with two disks.
struct QEMUFixture: DriverFixture {
    let lab: Lab
    let machine: Lab.Machine
    let driver: any HypervisorDriver
    let label: String
    let limits: [DriverCapability: String]
    private let sharesMemory: Bool
    let workspace: String
    let scratch: String
    let disks: [VirtualMachine.Disk]
    let witness: GuestWitness?

    var uuid: String { machine.uuid }
    var name: String { machine.name }

    /// - Parameter sharesMemory: whether the guest is to be started with memory that other processes could map.
    init(_ lab: Lab, sharesMemory: Bool = false) throws {
        self.lab = lab
        self.sharesMemory = sharesMemory
        label = sharesMemory ? "7.2, shared memory" : "7.2"
        limits = sharesMemory ? [.backgroundImages: "shared memory is saved while the guest stands still"] : [:]
        machine = try lab.machine("vm-1")
        driver = Self.driver(lab)
        workspace = lab.folders.workspace(1)
        scratch = "\(lab.folders.root)/scratch"
        try FileManager.default.createDirectory(atPath: scratch, withIntermediateDirectories: true)
        witness = GuestWitness(serialLog: machine.serialLog)
        disks = ["vda", "vdb"].enumerated().map { [lab, machine] index, target in
            VirtualMachine.Disk(
                target: target, path: lab.folders.disk(of: machine.name, index), format: "qcow2", readOnly: false)
        }
    }

    static func driver(_ lab: Lab) -> QEMUDriver {
        QEMUDriver(
            sockets: ["\(lab.folders.guests(1))/*.qmp"], machines: lab.folders.agentMachines(1),
            namespace: "/run/netns/\(lab.topology.namespace(ofDesktop: 1))",
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    func anotherDriver() -> any HypervisorDriver { Self.driver(lab) }

    func bury(_ driver: any HypervisorDriver, in cut: any PreparedCut) async {
        (cut as? QEMUCut)?.stream?.cancel()
        (driver as? QEMUDriver)?.cutOff()
    }

    func startGuest() async throws {
        let now = try? await driver.machine(uuid)
        if let now, now.state == .paused { try await lab.resume(name, on: 1) }
        if let now, now.state != .off, Set(now.disks) == Set(disks),
            try await driver.description(of: uuid).contains(Self.sharedMemory) == sharesMemory
        {
            return try await driver.keep(uuid)
        }
        try await driver.destroy(uuid)
        try setMemory()
        try await lab.startMachine(name)
        try await driver.keep(uuid)
    }

    private static let sharedMemory = "memory-backend-memfd"

    /// In the command that starts the guest.
    private func setMemory() throws {
        let file = URL(filePath: "\(lab.folders.guests(1))/\(name).command")
        var words = try JSONDecoder().decode([String].self, from: Data(contentsOf: file))
        let machine = ",memory-backend=shared"
        if let object = words.firstIndex(where: { $0.hasPrefix(Self.sharedMemory) }) {
            words.removeSubrange(object - 1...object)
        }
        words = words.map { $0.replacing(machine, with: "") }
        if sharesMemory, let place = words.firstIndex(of: "-machine") {
            words[place + 1] += machine
            words += ["-object", "\(Self.sharedMemory),id=shared,size=\(lab.configuration.memory)M,share=on"]
        }
        try JSONEncoder().encode(words).write(to: file, options: .atomic)
    }

    func pauseGuest() async throws { try await lab.suspend(name, on: 1) }

    func killGuest() async throws { try await lab.killMachine(name) }

    /// By the lab's own monitor.
    func guestState() async throws -> VirtualMachine.State {
        switch try await lab.states()[name]?[1] {
        case "running": .running
        case nil, "shut off": .off
        default: .paused
        }
    }

    func residue() async throws -> [String] {
        guard try await guestState() != .off else { return [] }
        var found: [String] = []
        let monitor = { (command: String) in try await lab.monitor(command, of: name, on: 1) }
        if try await monitor(#"{"execute":"query-migrate-capabilities"}"#)
            .contains(/"state": ?true, ?"capability": ?"background-snapshot"/)
        {
            found.append("the capability background-snapshot")
        }
        let parameters = try await monitor(#"{"execute":"query-migrate-parameters"}"#)
        if MonitorAnswer.bandwidth(in: parameters) != 128 << 20 { found.append("another limit for migrations") }
        let jobs = try await monitor(#"{"execute":"query-block-jobs"}"#)
        if !jobs.contains(/"return": ?\[\]/) { found.append("block jobs: \(jobs)") }
        let nodes = try await monitor(#"{"execute":"query-named-block-nodes","arguments":{"flat":true}}"#)
        if nodes.contains(workspace) || nodes.contains("holdfast") { found.append("a block node of a cut") }
        return found
    }

    func fillWorkspace() throws { try room().fill() }
    func emptyWorkspace() throws { try room().empty() }

    private func room() throws -> SmallRoom {
        guard let rooms = lab.configuration.rooms else { throw Breach("the lab has no small rooms") }
        return SmallRoom(path: workspace, size: rooms.workspace)
    }
}
