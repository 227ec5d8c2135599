import Foundation

/// `createvm`, `modifyvm`, `storagectl`, `storageattach`, `setextradata`, `registervm`, `unregistervm`.
struct Making {
    let home: Home

    func create(_ options: Options) throws {
        guard let name = options["name"] else { throw Refusal("Parameter --name is required", code: .syntax) }
        let uuid = (options["uuid"] ?? UUID().uuidString).lowercased()
        let folder = "\(options["basefolder"] ?? "\(home.folder)/Machines")/\(name)"
        let file = "\(folder)/\(name).vbox"
        guard !FileManager.default.fileExists(atPath: file) else {
            throw Refusal("Machine settings file '\(file)' already exists", code: .fileError)
        }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        var model = MachineModel(uuid: uuid, name: name)
        model.osType = options["ostype"] ?? "Linux26_64"
        try SettingsWriter.text(model, isOld: false).write(toFile: file, atomically: true, encoding: .utf8)
        print("Virtual machine '\(name)' is created\(options["register"] == nil ? "" : " and registered").")
        print("UUID: \(uuid)")
        print("Settings file: '\(file)'")
        if options["register"] != nil { try home.changeRegistry { $0[uuid] = file } }
    }

    private func changing(_ options: Options, _ body: (inout Machine) throws -> Void) throws {
        let found = try home.find(try options.word(0, "VM name"))
        try home.locked(found.uuid) {
            var machine = try Machine(uuid: found.uuid, file: found.file, home: home)
            try machine.requireOff()
            try body(&machine)
            try machine.save()
        }
    }

    func modify(_ options: Options) throws {
        try changing(options) { machine in
            for (name, value) in options.pairs {
                let number = Int(String(name.reversed().prefix { $0.isNumber }.reversed())) ?? 0
                let stem = String(name.reversed().drop { $0.isNumber }.reversed()).filter { $0 != "-" }
                switch stem {
                case "memory": machine.model.memory = Int(value) ?? 128
                case "cpus": machine.model.processors = Int(value) ?? 1
                case "nic":
                    machine.model.adapters.removeAll { $0.slot == number - 1 }
                    if value != "none" {
                        machine.model.adapters.append(
                            MachineModel.Adapter(
                                slot: number - 1, mac: "080027000000", type: "virtio", attachment: value, peer: ""))
                    }
                case "bridgeadapter", "intnet", "hostonlyadapter", "natnetwork":
                    change(&machine, number) { $0.peer = value }
                case "nictype": change(&machine, number) { $0.type = value }
                case "macaddress": change(&machine, number) { $0.mac = value.uppercased() }
                case "uartmode":
                    // `--uartmode1 file /path`: the path comes as a word of its own.
                    guard let path = options.plain.dropFirst().first else {
                        throw Refusal("Missing path", code: .syntax)
                    }
                    machine.model.ports.removeAll { $0.slot == number - 1 }
                    machine.model.ports.append(MachineModel.Port(slot: number - 1, path: path))
                case "description": machine.model.extraData["StandIn/Description"] = value
                default: throw Refusal("Unknown option: --\(name)", code: .syntax)
                }
            }
        }
    }

    private func change(_ machine: inout Machine, _ number: Int, _ body: (inout MachineModel.Adapter) -> Void) {
        guard let index = machine.model.adapters.firstIndex(where: { $0.slot == number - 1 }) else { return }
        body(&machine.model.adapters[index])
    }

    func controller(_ options: Options) throws {
        try changing(options) { machine in
            guard let name = options["name"] else {
                throw Refusal("Storage controller name not specified", code: .syntax)
            }
            let types = ["virtio": "VirtioSCSI", "virtio-scsi": "VirtioSCSI", "sata": "AHCI", "scsi": "LsiLogic"]
            machine.model.controllers.append(
                MachineModel.Controller(name: name, type: types[options["add"] ?? ""] ?? "AHCI"))
        }
    }

    func attach(_ options: Options) throws {
        try changing(options) { machine in
            guard let name = options["storagectl"],
                let index = machine.model.controllers.firstIndex(where: { $0.name == name })
            else {
                throw Refusal(
                    "Could not find a storage controller named '\(options["storagectl"] ?? "")'", code: .objectNotFound)
            }
            let (port, device) = (Int(options["port"] ?? "0") ?? 0, Int(options["device"] ?? "0") ?? 0)
            machine.model.controllers[index].attachments.removeAll { $0.port == port && $0.device == device }
            guard let path = options["medium"], path != "none" else { return }
            try GuestDisks.adopt(path)
            let medium = MachineModel.Medium(
                uuid: UUID().uuidString.lowercased(), location: path, format: GuestDisks.format, type: options["mtype"],
                parent: nil)
            machine.model.media.append(medium)
            machine.model.controllers[index].attachments.append(
                MachineModel.Attachment(port: port, device: device, medium: medium.uuid))
        }
    }

    func extraData(_ options: Options) throws {
        let found = try home.find(try options.word(0, "VM name"))
        let key = try options.word(1, "key")
        try home.locked(found.uuid) {
            var machine = try Machine(uuid: found.uuid, file: found.file, home: home)
            machine.model.extraData[key] = options.plain.dropFirst(2).first
            try machine.save()
        }
    }

    func register(_ options: Options) throws {
        let file = try options.word(0, "settings file")
        let model = try SettingsReader.machine(at: file)
        try home.changeRegistry { registry in
            if registry[model.uuid] != nil {
                throw Refusal(
                    "Trying to register a machine with the UUID {\(model.uuid)}, which is registered already",
                    code: .invalidObjectState)
            }
            registry[model.uuid] = file
        }
    }

    func unregister(_ options: Options) throws {
        let machine = try home.find(try options.word(0, "VM name"))
        try home.locked(machine.uuid) {
            try machine.requireOff()
            machine.guest.end()
            try home.changeRegistry { $0[machine.uuid] = nil }
            guard options["delete"] != nil else { return }
            for medium in machine.model.media {
                try? FileManager.default.removeItem(atPath: machine.path(medium.location))
            }
            try? FileManager.default.removeItem(atPath: machine.folder)
        }
    }
}
