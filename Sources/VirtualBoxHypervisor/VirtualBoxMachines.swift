import Foundation
import Hypervisor
import Logging

/// The VMs of one user of VirtualBox, by UUID, as VBoxManage shows and controls them.
struct VirtualBoxMachines: Sendable {
    let programs: VirtualBoxPrograms
    let manage: HostCommand
    let patience: CallPatience
    let logger: Logger

    init(programs: VirtualBoxPrograms, patience: CallPatience, logger: Logger) {
        self.programs = programs
        self.patience = patience
        self.logger = logger
        manage = HostCommand(programs.manage, logger: logger)
    }

    // MARK: Looking

    /// UUIDs of all VMs.
    func list() async throws(ManageFailure) -> [String] {
        let text = try await manage.run(["list", "vms"], within: patience.look)
        // `"name" {uuid}`, where the name may hold anything.
        return text.split(whereSeparator: \.isNewline).compactMap { line in
            guard line.hasSuffix("}"), let brace = line.lastIndex(of: "{") else { return nil }
            let uuid = line[line.index(after: brace)...].dropLast().lowercased()
            return MachineInfo.isUUID(uuid) ? uuid : nil
        }
    }

    /// Nil for a VM whose settings VirtualBox itself cannot read.
    func look(_ uuid: String) async throws(ManageFailure) -> MachineInfo? {
        guard MachineInfo.isUUID(uuid) else {
            throw ManageFailure(kind: .unknownMachine, text: "`\(uuid)` is no UUID of a VM")
        }
        let text = try await manage.run(
            ["showvminfo", uuid, "--machinereadable"], machine: uuid, within: patience.look)
        return MachineInfo(MachineReadable(text))
    }

    func info(_ uuid: String) async throws(HypervisorError) -> MachineInfo {
        let info: MachineInfo?
        do throws(ManageFailure) {
            info = try await look(uuid)
        } catch {
            throw error.error(doing: "look at the VM \(uuid)")
        }
        guard let info else {
            throw .failed("VirtualBox itself cannot read the settings of the VM \(uuid). See what its window says.")
        }
        return info
    }

    func settingsText(_ info: MachineInfo) throws(HypervisorError) -> String {
        do {
            return try String(contentsOfFile: info.settingsFile, encoding: .utf8)
        } catch {
            throw .noRights(
                "The settings of \(info.name) in \(info.settingsFile) cannot be read (\(error.localizedDescription)). Give "
                    + "the agent's user access to them.")
        }
    }

    func settings(_ info: MachineInfo) throws(HypervisorError) -> MachineSettings {
        try MachineSettings(try settingsText(info))
    }

    func cause(ofPause info: MachineInfo) -> PauseCause {
        guard let file = FileHandle(forReadingAtPath: "\(info.logFolder)/VBox.log") else { return .wanted }
        defer { try? file.close() }
        let size = (try? file.seekToEnd()) ?? 0
        try? file.seek(toOffset: size > 262_144 ? size - 262_144 : 0)
        return PauseCause(log: String(decoding: (try? file.readToEnd()) ?? Data(), as: UTF8.self))
    }

    /// The places among which a NIC must have one, by the tap's name.
    func taps() async -> [String: TapPlace] {
        let ip = HostCommand(programs.ip, logger: logger)
        let answer = try? await ip.run(["-json", "-details", "link", "show"], within: patience.look)
        return TapPlace.all(in: answer ?? "")
    }

    // MARK: Controlling

    /// `pause`, `resume`, `poweroff`.
    func control(
        _ uuid: String, _ verb: String, within limit: Duration? = nil
    ) async throws(ManageFailure) {
        try await manage.run(["controlvm", uuid, verb], machine: uuid, within: limit ?? patience.control)
    }

    /// UUID of the snapshot of that name; nil if there is none, whatever was said before.
    func snapshot(named name: String, of uuid: String) async throws(ManageFailure) -> String? {
        let text: String
        do throws(ManageFailure) {
            text = try await manage.run(
                ["snapshot", uuid, "list", "--machinereadable"], machine: uuid, within: patience.look)
        } catch {
            // A VM without any is a failure to VBoxManage, which says so on standard output.
            if error.kind == .other, error.text.contains("without a word") || error.text.contains("any snapshots") {
                return nil
            }
            throw error
        }
        return MachineReadable(text).uuid(ofSnapshot: name)
    }

    func takeSnapshot(_ name: String, of uuid: String) async throws(ManageFailure) {
        try await manage.run(
            ["snapshot", uuid, "take", name, "--description", "Of a Holdfast cut; it is deleted by itself."],
            machine: uuid, within: patience.save)
    }

    func deleteSnapshot(_ snapshot: String, of uuid: String) async throws(ManageFailure) {
        try await manage.run(
            ["snapshot", uuid, "delete", snapshot], machine: uuid, within: patience.merge)
    }
}

extension MachineReadable {
    /// The entries of a snapshot share what follows in their keys: `SnapshotName-1-2` and `SnapshotUUID-1-2`.
    package func uuid(ofSnapshot name: String) -> String? {
        for entry in entries where entry.value == name && entry.key.hasPrefix("SnapshotName") {
            guard let uuid = self["SnapshotUUID" + entry.key.dropFirst("SnapshotName".count)] else { continue }
            if MachineInfo.isUUID(uuid) { return uuid.lowercased() }
        }
        return nil
    }
}
