import Foundation

/// `list` and `showvminfo`.
struct Listing {
    let home: Home

    func list(_ options: Options) throws {
        let what = try options.word(0, "what to list")
        guard what == "vms" || what == "runningvms" else {
            throw Refusal("Unknown sub-command '\(what)'", code: .syntax)
        }
        for (uuid, file) in home.registry().sorted(by: { $0.key < $1.key }) {
            guard let machine = try? Machine(uuid: uuid, file: file, home: home) else {
                if what == "vms" { print("\"<inaccessible>\" {\(uuid)}") }
                continue
            }
            if what == "vms" || machine.isOn { print("\"\(machine.model.name)\" {\(uuid)}") }
        }
    }

    func show(_ options: Options, isOld: Bool) throws {
        let found = try home.find(try options.word(0, "VM name"))
        let text = try home.lockedUnlessBusy(found.uuid) { busy in
            let machine = try Machine(uuid: found.uuid, file: found.file, home: home)
            return Self.text(machine, state: busy ?? machine.state(), isOld: isOld)
        }
        guard options["machinereadable"] != nil else {
            print(Invocation.banner)
            return print("Name: \(found.model.name)\nUUID: \(found.uuid)")
        }
        print(text, terminator: "")
    }

    static func text(_ machine: Machine, state: String, isOld: Bool) -> String {
        let model = machine.model
        var lines: [String] = []
        // Before 7.0 nothing was escaped.
        func quoted(_ text: String) -> String {
            isOld
                ? "\"\(text)\""
                : "\"\(text.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\""))\""
        }
        func add(_ key: String, _ value: String) { lines.append("\(key)=\(quoted(value))") }
        add("name", model.name)
        add("groups", "/")
        if !isOld { add("platformArchitecture", "x86") }
        add("ostype", model.osType)
        add("UUID", model.uuid)
        add("CfgFile", machine.file)
        add("SnapFldr", machine.snapshotFolder)
        add("LogFldr", "\(machine.folder)/Logs")
        lines.append("memory=\(model.memory)")
        add("cpu-profile", "host")
        add("chipset", "piix3")
        add("firmware", "BIOS")
        lines.append("cpus=\(model.processors)")
        add("VMState", state)
        add("VMStateChangeTime", "2026-01-01T00:00:00.000000000")
        if let file = model.stateFile { add("VMStateFile", machine.path(file)) }
        for (index, controller) in model.controllers.enumerated() {
            add("storagecontrollername\(index)", controller.name)
            add("storagecontrollertype\(index)", controller.type)
        }
        for entry in model.attachments {
            let place = "\(entry.attachment.port)-\(entry.attachment.device)"
            let location = model.medium(entry.attachment.medium).map { machine.path($0.location) } ?? ""
            lines.append("\(quoted("\(entry.controller)-\(place)"))=\(quoted(location))")
            lines.append("\(quoted("\(entry.controller)-ImageUUID-\(place)"))=\(quoted(entry.attachment.medium))")
        }
        for adapter in model.adapters {
            let number = adapter.slot + 1
            let keys = [
                "bridged": "bridgeadapter", "natnetwork": "nat-network", "nat": "natnet", "intnet": "intnet",
                "hostonly": "hostonlyadapter",
            ]
            if let key = keys[adapter.attachment] {
                add("\(key)\(number)", adapter.attachment == "nat" ? "nat" : adapter.peer)
            }
            add("macaddress\(number)", adapter.mac)
            add("cableconnected\(number)", "on")
            add("nic\(number)", adapter.attachment)
            add("nictype\(number)", adapter.type)
        }
        for port in model.ports {
            add("uart\(port.slot + 1)", "0x03f8,4")
            add("uartmode\(port.slot + 1)", "file,\(port.path)")
        }
        add("description", model.extraData["StandIn/Description"] ?? "")
        lines += snapshotLines(model)
        return lines.map { $0 + "\n" }.joined()
    }

    /// Names and descriptions come without any escapes, in every version.
    static func snapshotLines(_ model: MachineModel) -> [String] {
        var lines: [String] = []
        var node = ""
        for (index, snapshot) in model.snapshots.enumerated() {
            lines.append("SnapshotName\(node)=\"\(snapshot.name)\"")
            lines.append("SnapshotUUID\(node)=\"\(snapshot.uuid)\"")
            if !snapshot.description.isEmpty { lines.append("SnapshotDescription\(node)=\"\(snapshot.description)\"") }
            if index == model.snapshots.count - 1 {
                lines.append("CurrentSnapshotName=\"\(snapshot.name)\"")
                lines.append("CurrentSnapshotUUID=\"\(snapshot.uuid)\"")
                lines.append("CurrentSnapshotNode=\"SnapshotName\(node)\"")
            }
            node += "-1"
        }
        return lines
    }
}
