import DesktopLab
import Foundation
import Glibc
import Hypervisor
import HypervisorConformance
import Logging

@testable import LibvirtHypervisor

/// A real libvirtd of the lab and a real guest with two disks.
struct LibvirtFixture: DriverFixture {
    let lab: Lab
    let machine: Lab.Machine
    let driver: any HypervisorDriver
    let label = "qemu:///system"
    let limits: [DriverCapability: String] = [:]
    let workspace: String
    let scratch: String
    let disks: [VirtualMachine.Disk]
    let witness: GuestWitness?
    /// What the guest is defined by: the lab's description with a second disk.
    private let definition: String

    var uuid: String { machine.uuid }
    var name: String { machine.name }

    init(_ lab: Lab) throws {
        self.lab = lab
        machine = try lab.machine("vm-1")
        driver = Self.driver(lab.desktops[0].libvirt)
        workspace = lab.folders.workspace(1)
        scratch = "\(lab.folders.root)/scratch"
        try FileManager.default.createDirectory(atPath: scratch, withIntermediateDirectories: true)
        witness = GuestWitness(serialLog: machine.serialLog)
        definition = "\(lab.folders.root)/two-disks.xml"
        let own = [("vda", lab.folders.disk(of: machine.name)), ("vdb", "\(lab.folders.root)/second.raw")]
        disks = zip(own, ["qcow2", "raw"]).map {
            VirtualMachine.Disk(target: $0.0, path: $0.1, format: $1, readOnly: false)
        }
    }

    static func driver(_ uri: String) -> LibvirtDriver {
        LibvirtDriver(uri: uri, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    func anotherDriver() -> any HypervisorDriver { Self.driver(lab.desktops[0].libvirt) }

    func bury(_ driver: any HypervisorDriver, in cut: any PreparedCut) async { (cut as? LibvirtCut)?.stream.cancel() }

    func absentDriver() -> (any HypervisorDriver)? {
        Self.driver("qemu+unix:///system?socket=/nonexistent/libvirt-sock")
    }

    private func virsh(_ arguments: String...) async throws {
        let result = try await lab.virsh(arguments, desktop: 1)
        guard result.succeeded else { throw Breach("virsh \(arguments): \(result.standardError)") }
    }

    private func monitor(_ command: String) async throws -> String {
        try await lab.virsh(["qemu-monitor-command", machine.name, command], desktop: 1).standardOutput
    }

    func startGuest() async throws {
        let now = try? await driver.machine(uuid)
        if let now, now.state == .paused { try await virsh("resume", name) }
        if let now, now.state != .off, Set(now.disks) == Set(disks) { return }
        try await driver.destroy(uuid)
        try await define()
        try await lab.startMachine(name)
    }

    /// Makes the second disk, and has libvirt know the guest with both.
    private func define() async throws {
        let second = disks[1].path ?? ""
        if !FileManager.default.fileExists(atPath: second) {
            guard FileManager.default.createFile(atPath: second, contents: nil), truncate(second, 4 << 20) == 0 else {
                throw Breach("\(second) cannot be made")
            }
        }
        let text = try String(contentsOfFile: lab.folders.domain(of: name), encoding: .utf8)
        let disk = """
            <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='\(second)'/>\
            <target dev='vdb' bus='virtio'/></disk>
            """
        try text.replacing("<controller type='usb'", with: disk + "<controller type='usb'").write(
            toFile: definition, atomically: true, encoding: .utf8)
        try await virsh("define", definition)
    }

    func pauseGuest() async throws { try await virsh("suspend", name) }

    func killGuest() async throws {
        try await lab.killMachine(name)
        let end = ContinuousClock.now + .seconds(20)
        while try await lab.virsh(["domstate", name], desktop: 1).standardOutput.contains("shut off") == false {
            guard ContinuousClock.now < end else { throw Breach("libvirt does not notice that the guest was killed") }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// By QEMU itself while it has a process.
    func guestState() async throws -> VirtualMachine.State {
        guard lab.emulator(of: name, on: 1) != nil else { return .off }
        switch MonitorAnswer.runState(in: try await monitor(#"{"execute":"query-status"}"#)) {
        case "running": return .running
        case nil: return .off
        default: return .paused
        }
    }

    func residue() async throws -> [String] {
        var found: [String] = []
        let snapshots = try await lab.virsh(["snapshot-list", "--name", name], desktop: 1).standardOutput
        if snapshots.contains(where: { !$0.isWhitespace }) { found.append("libvirt's snapshots \(snapshots)") }
        guard lab.emulator(of: name, on: 1) != nil else { return found }
        let capabilities = try await monitor(#"{"execute":"query-migrate-capabilities"}"#)
        if capabilities.contains(#"{"state":true,"capability":"background-snapshot"}"#) {
            found.append("the capability background-snapshot")
        }
        let parameters = try await monitor(#"{"execute":"query-migrate-parameters"}"#)
        if MonitorAnswer.bandwidth(in: parameters) != 128 << 20 { found.append("another limit for migrations") }
        let jobs = try await monitor(#"{"execute":"query-block-jobs"}"#)
        if !jobs.contains(#""return":[]"#) { found.append("block jobs: \(jobs)") }
        let nodes = try await monitor(#"{"execute":"query-named-block-nodes","arguments":{"flat":true}}"#)
        if nodes.contains(workspace) { found.append("a block node in the workspace") }
        return found
    }

    func fillWorkspace() throws { try room().fill() }
    func emptyWorkspace() throws { try room().empty() }

    private func room() throws -> SmallRoom {
        guard let rooms = lab.configuration.rooms else { throw Breach("the lab has no small rooms") }
        return SmallRoom(path: workspace, size: rooms.workspace)
    }
}
