import DesktopLab
import Foundation
import Glibc
import Hypervisor
import HypervisorConformance
import Logging

@testable import VirtualBoxHypervisor

/// The stand-in and a real guest, for the suite.
struct StandInFixture: DriverFixture {
    let desktop: StandInDesktop
    let driver: any HypervisorDriver
    let label = "stand-in"
    let limits: [DriverCapability: String] = [:]
    let witness: GuestWitness?

    init(_ desktop: StandInDesktop) {
        self.desktop = desktop
        driver = desktop.driver()
        witness = GuestWitness(serialLog: desktop.serialLog)
    }

    var uuid: String { StandInDesktop.uuid }
    var name: String { StandInDesktop.machineName }
    var workspace: String { desktop.workspace }
    var scratch: String { desktop.scratch }
    var disks: [VirtualMachine.Disk] {
        desktop.disks.enumerated().map {
            VirtualMachine.Disk(target: "Disks-\($0.offset)-0", path: $0.element, format: "qcow2", readOnly: false)
        }
    }

    func anotherDriver() -> any HypervisorDriver { desktop.driver() }

    func absentDriver() -> (any HypervisorDriver)? {
        VirtualBoxDriver(
            programs: VirtualBoxPrograms(command: "/nonexistent/VBoxManage"),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    func startGuest() async throws {
        try forgetHopeless()
        let now = try? await driver.machine(uuid)
        if let now, now.state == .paused { try await desktop.manage("controlvm", uuid, "resume") }
        if let now, now.state != .off, Set(now.disks) == Set(disks) { return }
        try await driver.destroy(uuid)
        if let now, Set(now.disks) != Set(disks) {
            // What was loaded and kept.
            try await desktop.manage("unregistervm", uuid)
            try await desktop.manage("registervm", desktop.settingsFile)
        }
        try await desktop.manage("startvm", uuid, "--type", "headless")
    }

    func pauseGuest() async throws { try await desktop.manage("controlvm", uuid, "pause") }

    func killGuest() async throws {
        guard let process = desktop.emulator else { return }
        kill(process, SIGKILL)
        while desktop.emulator == process { try await Task.sleep(for: .milliseconds(5)) }
    }

    /// By QEMU itself.
    func guestState() async throws -> VirtualMachine.State {
        guard desktop.emulator != nil else { return .off }
        let answer = try desktop.monitor().execute(MonitorCommand.text("query-status"))
        return MonitorAnswer.runState(in: answer) == "running" ? .running : .paused
    }

    func residue() async throws -> [String] {
        var found: [String] = []
        let list = try await Command.run(desktop.programs.manage + ["snapshot", uuid, "list", "--machinereadable"])
        if list.succeeded { found.append("snapshots: \(list.standardOutput)") }
        let folder = URL(filePath: desktop.settingsFile).deletingLastPathComponent().appending(path: "Snapshots").path
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        if !files.isEmpty { found.append("files of snapshots: \(files)") }
        guard desktop.emulator != nil else { return found }
        let jobs = try desktop.monitor().execute(MonitorCommand.text("query-block-jobs"))
        if !jobs.contains(#""return": []"#) { found.append("block jobs: \(jobs)") }
        return found
    }

    private static let hopeless = ["00000000-0000-0000-0000-000000000001", "ffffffff-0000-0000-0000-000000000001"]

    /// VMs that VirtualBox lists and whose settings nobody can read.
    func leaveHopelessJournals() throws {
        try change { registry in
            for uuid in Self.hopeless { registry[uuid] = "/nonexistent/\(uuid).vbox" }
        }
        for uuid in Self.hopeless { try VirtualBoxJournal(uuid: uuid).write(to: workspace) }
    }

    private func forgetHopeless() throws { try change { for uuid in Self.hopeless { $0[uuid] = nil } } }

    private func change(_ body: (inout [String: String]) -> Void) throws {
        let file = URL(filePath: "\(desktop.home)/VirtualBox.json")
        var registry = try JSONDecoder().decode([String: String].self, from: Data(contentsOf: file))
        body(&registry)
        try JSONEncoder().encode(registry).write(to: file, options: .atomic)
    }

    func fillWorkspace() throws {}
    func emptyWorkspace() throws {}
}
