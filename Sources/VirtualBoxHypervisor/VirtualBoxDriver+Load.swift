import Foundation
import Glibc
package import Hypervisor
import Logging
import Subprocess
import SystemPackage

/// Restoring: a VM is made of stored settings, copies of its disks and a saved state, and started paused.
///
/// VirtualBox knows one VM of a UUID, on or off. So the one that was there is taken out of its list and noted beside the new
/// one's settings, until `keep` makes the new one the only one, or `destroy` brings the old one back.
extension VirtualBoxDriver {
    /// How long VirtualBox may take to read a saved state.
    private static let startPatience = Duration.seconds(180)
    /// Beside the settings of a VM that was loaded and not kept: the settings file of the one that it stands for.
    private static let noteName = "holdfast-stands-for"

    package func load(_ request: LoadRequest) async throws(HypervisorError) -> VirtualMachine {
        let uuid = request.uuid.lowercased()
        let settings: MachineSettings
        do throws(HypervisorError) {
            settings = try MachineSettings(request.description)
        } catch {
            throw .cannotLoad("The stored settings of \(request.name) are damaged (\(error)).")
        }
        guard settings.uuid == uuid else {
            throw .cannotLoad(
                "The stored settings of \(request.name) are of the VM \(settings.uuid ?? "without a UUID").")
        }
        let attachments = try Self.attachments(of: request, settings)
        let former = try await known(uuid)
        if let former, former.state != .off {
            throw .cannotLoad("\(request.name) runs here already; stop it before it is loaded from a snapshot.")
        }
        let folder = try Self.folder(of: request)
        settings.forget()
        // A task of its own: a caller that is cancelled must find either the whole VM or nothing of it.
        let result = await Task {
            await self.made(
                uuid, of: request, settings: settings.xml, attachments: attachments, in: folder,
                standingFor: former?.settingsFile)
        }.value
        return try result.get()
    }

    /// A VM's settings, states and disks lie in the folder of the disks that the request names.
    private static func folder(of request: LoadRequest) throws(HypervisorError) -> String {
        guard let disk = request.disks.values.sorted().first, let end = disk.lastIndex(of: "/") else {
            throw .cannotLoad("\(request.name) has no disk, so there is no folder for its settings.")
        }
        return "\(disk[..<end])/\(request.uuid.lowercased())"
    }

    private static func attachments(
        of request: LoadRequest, _ settings: MachineSettings
    ) throws(HypervisorError) -> [MachineSettings.Attachment] {
        let disks = settings.attachments.filter { $0.type == "HardDisk" }
        let targets = disks.map(\.target)
        guard Set(targets) == Set(request.disks.keys), Set(targets).count == targets.count else {
            throw .cannotLoad(
                "The stored settings of \(request.name) have the disks \(targets.sorted()), and the snapshot has "
                    + "\(request.disks.keys.sorted()).")
        }
        return disks
    }

    private func known(_ uuid: String) async throws(HypervisorError) -> MachineInfo? {
        do throws(HypervisorError) {
            return try await machines.info(uuid)
        } catch {
            if case .unknownMachine = error { return nil }
            throw error
        }
    }

    private func made(
        _ uuid: String, of request: LoadRequest, settings: String, attachments: [MachineSettings.Attachment],
        in folder: String, standingFor former: String?
    ) async -> Result<VirtualMachine, HypervisorError> {
        do throws(HypervisorError) {
            let file = "\(folder)/machine.vbox"
            let state = "\(folder)/Snapshots/holdfast.sav"
            try Self.write(settings, to: file, image: request.image, state: state, note: former ?? "")
            let disks = try await converted(request, attachments, into: folder)
            do throws(ManageFailure) {
                if former != nil { try await call("unregistervm", uuid) }
                try await call("registervm", file)
                for (attachment, path) in disks {
                    try await call(
                        "storageattach", uuid, "--storagectl", attachment.controller, "--port", "\(attachment.port)",
                        "--device", "\(attachment.device)", "--type", "hdd", "--medium", path,
                        options: attachment.options)
                }
                // VirtualBox deletes the state when it has read it, hence the copy.
                try await call("adoptstate", uuid, state)
            } catch {
                throw .cannotLoad("VirtualBox could not load \(request.name): \(error.text).")
            }
            try await start(uuid, request.name)
            let machine = try await machine(uuid)
            if let nic = machine.nics.first(where: { $0.tap == nil && $0.kind.contains("bridged") }) {
                throw .cannotLoad(
                    "The NIC \(nic.mac) of \(request.name) is \(nic.kind), which is no tap of a Linux bridge here. "
                        + TapPlace.advice(machine: uuid, adapter: "N"))
            }
            for target in request.disks.keys { unlink(Self.stored(target, folder)) }
            return .success(machine)
        } catch {
            await undo(request, in: folder)
            return .failure(error)
        }
    }

    @discardableResult
    private func call(_ arguments: String..., options: [String] = []) async throws(ManageFailure) -> String {
        let uuid = arguments.count > 1 && MachineInfo.isUUID(arguments[1]) ? arguments[1] : nil
        return try await machines.manage.run(arguments + options, machine: uuid, within: machines.patience.control)
    }

    private static func write(
        _ settings: String, to file: String, image: String, state: String, note: String
    ) throws(HypervisorError) {
        do {
            let folder = URL(filePath: state).deletingLastPathComponent().path
            let manager = FileManager.default
            let machine = URL(filePath: file).deletingLastPathComponent().path
            try? manager.removeItem(atPath: machine)
            try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try note.write(toFile: "\(machine)/\(noteName)", atomically: true, encoding: .utf8)
            try settings.write(toFile: file, atomically: true, encoding: .utf8)
            try manager.copyItem(atPath: image, toPath: state)
        } catch let error as CocoaError where error.code == .fileWriteOutOfSpace {
            throw .noSpace("Could not write \(file): the file system is full.")
        } catch {
            throw .cannotLoad("Could not write the settings and the state into \(file): \(error.localizedDescription).")
        }
    }

    /// Puts disks in VirtualBox's own format in the place of the stored ones, which are kept until it is sure that they are
    /// not needed any more: it reads, but does not write, all that a repository may hold. It knows a format by its octets,
    /// not by the file's name.
    private func converted(
        _ request: LoadRequest, _ attachments: [MachineSettings.Attachment], into folder: String
    ) async throws(HypervisorError) -> [(MachineSettings.Attachment, String)] {
        let tool = HostCommand(["qemu-img"], logger: logger)
        var disks: [(MachineSettings.Attachment, String)] = []
        for attachment in attachments {
            guard let path = request.disks[attachment.target] else { continue }
            let fresh = "\(folder)/\(attachment.target).vdi"
            do throws(ManageFailure) {
                try await tool.run(
                    ["convert", "-q", "-f", "qcow2", "-O", "vdi", path, fresh], within: machines.patience.merge)
            } catch {
                throw error.kind == .noSpace
                    ? .noSpace("Disk \(attachment.target) of \(request.name) does not fit: \(error.text).")
                    : .cannotLoad("Disk \(attachment.target) of \(request.name) cannot be read: \(error.text).")
            }
            guard rename(path, Self.stored(attachment.target, folder)) == 0, rename(fresh, path) == 0 else {
                throw .failed("Could not put \(path) in its place: \(String(cString: strerror(errno))).")
            }
            disks.append((attachment, path))
        }
        return disks
    }

    private static func stored(_ target: String, _ folder: String) -> String { "\(folder)/\(target).stored" }

    // MARK: Starting

    /// `VBoxManage startvm` cannot start a VM paused; the programs that it starts can. They live as long as the VM.
    private func start(_ uuid: String, _ name: String) async throws(HypervisorError) {
        let program = front == .headless ? machines.programs.headless : machines.programs.window
        let log = "/tmp/holdfast-\(UUID().uuidString).log"
        defer { unlink(log) }
        let vm = Task.detached { () -> String in
            var platform = PlatformOptions()
            platform.createSession = true
            do {
                let output = try FileDescriptor.open(
                    FilePath(log), .writeOnly, options: [.create, .exclusiveCreate, .closeOnExec],
                    permissions: .ownerReadWrite)
                let result = try await Subprocess.run(
                    program[0].contains("/") ? .path(FilePath(program[0])) : .name(program[0]),
                    arguments: Arguments(Array(program.dropFirst()) + ["--startvm", uuid, "--start-paused"]),
                    platformOptions: platform, output: .fileDescriptor(output, closeAfterSpawningProcess: false),
                    error: .fileDescriptor(output, closeAfterSpawningProcess: true))
                return "\(program[0]) ended (\(result.terminationStatus))"
            } catch {
                return "\(program[0]) cannot be run: \(error)"
            }
        }
        let ended = ProgramEnd()
        Task { ended.end(await vm.value) }
        let start = ContinuousClock.now
        while ContinuousClock.now - start < Self.startPatience {
            let info = try await machines.info(uuid)
            if info.state == .paused, !info.isBusy { return }
            if info.state == .running {
                throw .cannotLoad("VirtualBox let \(name) run instead of starting it paused.")
            }
            if let why = ended.value, !info.isBusy {
                let said = ((try? String(contentsOfFile: log, encoding: .utf8)) ?? "")
                    .split(whereSeparator: \.isNewline).last { $0.contains("rror") }
                throw .cannotLoad("VirtualBox could not load \(name): \(said.map(String.init) ?? why).")
            }
            await HostCommand.rest(.milliseconds(100))
        }
        throw .cannotLoad("VirtualBox did not load \(name) within \(Self.startPatience).")
    }

    // MARK: Keeping and ending

    package func keep(_ uuid: String) async throws(HypervisorError) {
        let info = try await machines.info(uuid.lowercased())
        unlink(Self.note(of: info.settingsFile))
    }

    private static func note(of settingsFile: String) -> String {
        "\(URL(filePath: settingsFile).deletingLastPathComponent().path)/\(noteName)"
    }

    package func destroy(_ uuid: String) async throws(HypervisorError) {
        let uuid = uuid.lowercased()
        guard let info = try await known(uuid) else { return }
        try await powerOff(info)
        let note = Self.note(of: info.settingsFile)
        guard FileManager.default.fileExists(atPath: note) else { return }
        try await bringBack(uuid, from: note, isRegistered: true)
        try? FileManager.default.removeItem(at: URL(filePath: note).deletingLastPathComponent())
    }

    private func powerOff(_ info: MachineInfo) async throws(HypervisorError) {
        let start = ContinuousClock.now
        var last = ManageFailure(kind: .other, text: "it is \(info.stateName)")
        while ContinuousClock.now - start < .seconds(30) {
            do throws(ManageFailure) {
                guard let now = try await machines.look(info.uuid), now.state != .off else { return }
                try await machines.control(info.uuid, "poweroff")
                continue
            } catch {
                if error.kind == .unknownMachine { return }
                last = error
            }
            await HostCommand.rest(.milliseconds(200))
        }
        throw last.error(doing: "stop \(info.name)")
    }

    /// A load that failed leaves nothing: neither a process nor a registration, nor files of its own.
    private func undo(_ request: LoadRequest, in folder: String) async {
        let uuid = request.uuid.lowercased()
        do throws(HypervisorError) {
            let file = "\(folder)/machine.vbox"
            let now = try await known(uuid)
            let isOurs = now?.settingsFile == file
            if let now, isOurs { try await powerOff(now) }
            if now == nil || isOurs {
                try await bringBack(uuid, from: "\(folder)/\(Self.noteName)", isRegistered: isOurs)
            }
            for (target, path) in request.disks { rename(Self.stored(target, folder), path) }
            try? FileManager.default.removeItem(atPath: folder)
        } catch {
            logger.critical("VM of a failed load still there", metadata: ["vm": "\(uuid)", "error": "\(error)"])
        }
    }

    private func bringBack(_ uuid: String, from note: String, isRegistered: Bool) async throws(HypervisorError) {
        let former = (try? String(contentsOfFile: note, encoding: .utf8)) ?? ""
        do throws(ManageFailure) {
            if isRegistered { try await call("unregistervm", uuid) }
            if FileManager.default.fileExists(atPath: former) { try await call("registervm", former) }
        } catch {
            throw error.error(doing: "bring back what was there before the VM \(uuid) was loaded")
        }
    }
}
