import Foundation
import MarkupTree

/// Reads a VM's settings file, of whichever version.
enum SettingsReader {
    static func machine(at path: String) throws -> MachineModel {
        guard let data = FileManager.default.contents(atPath: path),
            let root = try? MarkupDocument(String(decoding: data, as: UTF8.self)).root, root.name == "VirtualBox",
            let machine = root.element("Machine")
        else { throw Refusal("Document is empty or no settings: '\(path)'", code: .fileError) }
        return try model(machine, path)
    }

    private static func uuid(_ name: String, of element: MarkupElement) -> String? {
        element[name]?.lowercased().filter { $0 != "{" && $0 != "}" }
    }

    private static func number(_ name: String, of element: MarkupElement?) -> Int {
        (element?[name]).flatMap { Int($0) } ?? 0
    }

    private static func model(_ machine: MarkupElement, _ path: String) throws -> MachineModel {
        guard let uuid = uuid("uuid", of: machine), let name = machine["name"] else {
            throw Refusal("No UUID or name in '\(path)'", code: .fileError)
        }
        var model = MachineModel(uuid: uuid, name: name)
        model.osType = machine["OSType"] ?? "Other"
        model.stateFile = machine["stateFile"]
        let hardware = machine.element("Hardware")
        if let hardware {
            model.memory = number("RAMSize", of: hardware.element("Memory"))
            model.processors = max(1, number("count", of: hardware.element("CPU")))
            model.adapters = hardware.elements("Network", "Adapter").map(adapter)
            model.ports = hardware.elements("UART", "Port").map {
                MachineModel.Port(slot: number("slot", of: $0), path: $0["path"] ?? "")
            }
        }
        model.controllers = controllers(of: machine)
        for disk in machine.elements("MediaRegistry", "HardDisks", "HardDisk") { add(disk, parent: nil, to: &model) }
        for item in machine.elements("ExtraData", "ExtraDataItem") {
            model.extraData[item["name"] ?? ""] = item["value"]
        }
        var snapshots = machine.elements("Snapshot")
        while let snapshot = snapshots.first {
            model.snapshots.append(
                MachineModel.Snapshot(
                    uuid: self.uuid("uuid", of: snapshot) ?? "", name: snapshot["name"] ?? "",
                    description: snapshot.element("Description")?.text ?? "",
                    time: snapshot["timeStamp"] ?? "", stateFile: snapshot["stateFile"],
                    controllers: controllers(of: snapshot)))
            snapshots = snapshot.elements("Snapshots", "Snapshot")
        }
        return model
    }

    private static func adapter(_ element: MarkupElement) -> MachineModel.Adapter {
        let attachment =
            SettingsWriter.attachments.first { element.element($0.element) != nil } ?? ("null", "")
        let peer = element.element(attachment.element)?["name"] ?? ""
        return MachineModel.Adapter(
            slot: number("slot", of: element), mac: element["MACAddress"] ?? "",
            type: element["type"] ?? "virtio", attachment: attachment.name, peer: peer)
    }

    private static func controllers(of element: MarkupElement) -> [MachineModel.Controller] {
        let found =
            element.elements("Hardware", "StorageControllers", "StorageController")
            + element.elements("StorageControllers", "StorageController")
        return found.map { controller in
            MachineModel.Controller(
                name: controller["name"] ?? "", type: controller["type"] ?? "",
                attachments: controller.elements("AttachedDevice").compactMap { device in
                    device.element("Image").flatMap { uuid("uuid", of: $0) }.map {
                        MachineModel.Attachment(
                            port: number("port", of: device), device: number("device", of: device), medium: $0)
                    }
                })
        }
    }

    private static func add(_ disk: MarkupElement, parent: String?, to model: inout MachineModel) {
        let medium = MachineModel.Medium(
            uuid: uuid("uuid", of: disk) ?? "", location: disk["location"] ?? "",
            format: disk["format"] ?? "", type: disk["type"], parent: parent)
        model.media.append(medium)
        for child in disk.elements("HardDisk") { add(child, parent: medium.uuid, to: &model) }
    }
}
