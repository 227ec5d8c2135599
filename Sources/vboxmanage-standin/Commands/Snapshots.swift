import Foundation
import Glibc
import Hypervisor

/// `snapshot <vm> take|list|delete|restore`.
struct Snapshots {
    let home: Home
    let faults: Set<Fault>

    /// As VirtualBox names saved states.
    static func time() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var parts = tm()
        gmtime_r(&now.tv_sec, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T\(two(parts.tm_hour))-"
            + "\(two(parts.tm_min))-\(two(parts.tm_sec))-\(now.tv_nsec)Z"
    }

    func run(_ options: Options, isOld: Bool) throws {
        let found = try home.find(try options.word(0, "VM name"))
        let verb = try options.word(1, "subcommand")
        if verb == "list" { return try list(found) }
        try home.locked(found.uuid) {
            var machine = try Machine(uuid: found.uuid, file: found.file, home: home)
            switch verb {
            case "take": try take(&machine, options, isOld: isOld)
            case "delete": try delete(&machine, try options.word(2, "snapshot"), isOld: isOld)
            case "restore": try restore(&machine, try options.word(2, "snapshot"))
            default: throw Refusal("Invalid parameter '\(verb)'", code: .syntax)
            }
        }
    }

    private func list(_ found: Machine) throws {
        guard !found.model.snapshots.isEmpty else {
            print("This machine does not have any snapshots")
            exit(1)
        }
        for line in Listing.snapshotLines(found.model) { print(line) }
    }

    private func progress() { print("0%...10%...20%...30%...40%...50%...60%...70%...80%...90%...100%") }

    // MARK: Take

    private func take(_ machine: inout Machine, _ options: Options, isOld: Bool) throws {
        let name = try options.word(2, "snapshot name")
        let uuid = UUID().uuidString.lowercased()
        if !faults.contains(.lie) {
            try FileManager.default.createDirectory(atPath: machine.snapshotFolder, withIntermediateDirectories: true)
            try home.busy(machine.uuid, machine.isOn ? "onlinesnapshotting" : "snapshotting") {
                try take(&machine, uuid, name, options["description"] ?? "")
            }
            try machine.save(isOld: isOld)
            if faults.contains(.lose) { try delete(&machine, uuid, isOld: isOld) }
        }
        progress()
        print("Snapshot taken. UUID: \(uuid)")
    }

    private func take(_ machine: inout Machine, _ uuid: String, _ name: String, _ description: String) throws {
        let before = machine.model
        let isOn = machine.isOn
        let wasRunning = isOn && machine.guest.runState() == .running
        if wasRunning { try machine.guest.pause() }
        var files: [(index: Int, path: String)] = []
        for (index, entry) in before.attachments.enumerated() {
            let medium = MachineModel.Medium(
                uuid: UUID().uuidString.lowercased(), location: "", format: GuestDisks.format, type: nil,
                parent: entry.attachment.medium)
            var placed = medium
            placed.location = "Snapshots/{\(medium.uuid)}.vdi"
            machine.model.media.append(placed)
            machine.model.replace(entry.attachment.medium, by: medium.uuid)
            let path = machine.path(placed.location)
            files.append((index, path))
            if !isOn, let base = before.medium(entry.attachment.medium).map({ machine.path($0.location) }) {
                try GuestDisks.tool(["create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", path])
            }
        }
        var state = machine.model.stateFile
        if isOn {
            do {
                if !files.isEmpty { try GuestDisks.divert(machine.guest, into: files) }
                // Noted at once: from here on the guest writes into the new images, whatever becomes of this process.
                try machine.save()
                state = "Snapshots/\(Self.time()).sav"
                try machine.guest.saveState(to: machine.path(state ?? ""))
            } catch {
                for (index, file) in files.enumerated() {
                    let base = before.medium(before.attachments[index].attachment.medium).map {
                        machine.path($0.location)
                    }
                    if let base { try? GuestDisks.merge(machine.guest, index: file.index, into: base) }
                    unlink(file.path)
                }
                machine.model = before
                try machine.save()
                if wasRunning { try? machine.guest.resume() }
                throw error
            }
        }
        machine.model.snapshots.append(
            MachineModel.Snapshot(
                uuid: uuid, name: name, description: description, time: Self.time(), stateFile: state,
                controllers: before.controllers))
        try machine.save()
        if wasRunning { try machine.guest.resume() }
    }

    // MARK: Delete and restore

    private func index(_ word: String, in machine: Machine) throws -> Int {
        guard
            let index = machine.model.snapshots.firstIndex(where: { $0.uuid == word.lowercased() || $0.name == word })
        else { throw Refusal("Could not find a snapshot named '\(word)'", code: .objectNotFound) }
        return index
    }

    private func delete(_ machine: inout Machine, _ word: String, isOld: Bool) throws {
        let place = try index(word, in: machine)
        let snapshot = machine.model.snapshots[place]
        print("Deleting snapshot '\(snapshot.name)' (\(snapshot.uuid))")
        if faults.contains(.lie) { return progress() }
        let state = machine.isOn ? machine.state() : "poweroff"
        let busy = state == "running" ? "deletingsnapshotlive" : "deletingsnapshotlivepaused"
        try home.busy(machine.uuid, machine.isOn ? busy : "deletingsnapshot") {
            for entry in snapshot.controllers.flatMap(\.attachments) { try merge(entry.medium, in: &machine) }
        }
        machine.model.snapshots.remove(at: place)
        try machine.save(isOld: isOld)
        if let file = snapshot.stateFile { unlink(machine.path(file)) }
        progress()
    }

    /// Writes the one image that is based on this one into it, and lets it take that one's place.
    private func merge(_ medium: String, in machine: inout Machine) throws {
        guard let base = machine.model.medium(medium),
            let child = machine.model.media.first(where: { $0.parent == medium })
        else { return }
        let (path, top) = (machine.path(base.location), machine.path(child.location))
        let index = machine.model.attachments.firstIndex { $0.attachment.medium == child.uuid }
        if machine.isOn {
            guard let index else {
                throw Refusal("The stand-in merges only into what the VM writes now", code: .failure)
            }
            if try written(machine, index) != path { try GuestDisks.merge(machine.guest, index: index, into: path) }
        } else {
            try GuestDisks.tool(["commit", "-q", "-d", top])
        }
        machine.model.replace(child.uuid, by: medium)
        for place in machine.model.snapshots.indices {
            for controller in machine.model.snapshots[place].controllers.indices {
                for entry in machine.model.snapshots[place].controllers[controller].attachments.indices
                where machine.model.snapshots[place].controllers[controller].attachments[entry].medium == child.uuid {
                    machine.model.snapshots[place].controllers[controller].attachments[entry].medium = medium
                }
            }
        }
        for grandchild in machine.model.media.indices where machine.model.media[grandchild].parent == child.uuid {
            let file = machine.path(machine.model.media[grandchild].location)
            try GuestDisks.tool(["rebase", "-u", "-q", "-f", "qcow2", "-F", "qcow2", "-b", path, file])
            machine.model.media[grandchild].parent = medium
        }
        machine.model.media.removeAll { $0.uuid == child.uuid }
        try machine.save()
        unlink(top)
    }

    private struct Blocks: Decodable {
        struct Block: Decodable {
            struct Inserted: Decodable { var file: String }
            var device: String
            var inserted: Inserted?
        }
        var `return`: [Block]
    }

    /// The file that the guest writes now.
    private func written(_ machine: Machine, _ index: Int) throws -> String? {
        let answer = try machine.guest.monitor().execute(MonitorCommand.text("query-block"))
        let blocks = try JSONDecoder().decode(Blocks.self, from: Data(answer.utf8)).return
        return blocks.first { $0.device == GuestCommand.drive(index) }?.inserted?.file
    }

    private func restore(_ machine: inout Machine, _ word: String) throws {
        try machine.requireOff()
        machine.guest.end()
        let snapshot = machine.model.snapshots[try index(word, in: machine)]
        print("Restoring snapshot '\(snapshot.name)' (\(snapshot.uuid))")
        let kept = Set(machine.model.snapshots.flatMap(\.controllers).flatMap(\.attachments).map(\.medium))
        for entry in machine.model.attachments where !kept.contains(entry.attachment.medium) {
            if let medium = machine.model.medium(entry.attachment.medium) { unlink(machine.path(medium.location)) }
            machine.model.media.removeAll { $0.uuid == entry.attachment.medium }
        }
        machine.model.controllers = snapshot.controllers
        for entry in snapshot.controllers.flatMap(\.attachments) {
            guard let base = machine.model.medium(entry.medium) else { continue }
            let uuid = UUID().uuidString.lowercased()
            let file = "Snapshots/{\(uuid)}.vdi"
            try GuestDisks.tool([
                "create", "-q", "-f", "qcow2", "-b", machine.path(base.location), "-F", "qcow2", machine.path(file),
            ])
            machine.model.media.append(
                MachineModel.Medium(
                    uuid: uuid, location: file, format: GuestDisks.format, type: nil, parent: entry.medium))
            machine.model.replace(entry.medium, by: uuid)
        }
        if let file = machine.model.stateFile { unlink(machine.path(file)) }
        machine.model.stateFile = nil
        if let state = snapshot.stateFile {
            let copy = "Snapshots/\(Self.time()).sav"
            try FileManager.default.copyItem(atPath: machine.path(state), toPath: machine.path(copy))
            machine.model.stateFile = copy
        }
        try machine.save()
        progress()
    }
}
