import Foundation
import FoundationXML

/// Reads a VM's settings file, of whichever version.
enum SettingsReader {
    static func machine(at path: String) throws -> MachineModel {
        guard let data = FileManager.default.contents(atPath: path), !data.isEmpty,
            let document = try? XMLDocument(xmlString: String(decoding: data, as: UTF8.self)),
            let root = document.rootElement(), root.name == "VirtualBox",
            let machine = children("Machine", of: root).first
        else { throw Refusal("Document is empty or no settings: '\(path)'", code: .fileError) }
        return try model(machine, path)
    }

    private static func children(_ path: String..., of element: XMLElement) -> [XMLElement] {
        path.reduce([element]) { found, name in
            found.flatMap { ($0.children ?? []).compactMap { $0 as? XMLElement }.filter { $0.name == name } }
        }
    }

    /// Foundation's own look-up by name finds no attribute below a default namespace.
    private static func value(_ name: String, of element: XMLElement) -> String? {
        element.attributes?.first { $0.name == name }?.stringValue
    }

    private static func uuid(_ name: String, of element: XMLElement) -> String? {
        value(name, of: element)?.lowercased().filter { $0 != "{" && $0 != "}" }
    }

    private static func number(_ name: String, of element: XMLElement?) -> Int {
        element.flatMap { value(name, of: $0) }.flatMap { Int($0) } ?? 0
    }

    private static func model(_ machine: XMLElement, _ path: String) throws -> MachineModel {
        guard let uuid = uuid("uuid", of: machine), let name = value("name", of: machine) else {
            throw Refusal("No UUID or name in '\(path)'", code: .fileError)
        }
        var model = MachineModel(uuid: uuid, name: name)
        model.osType = value("OSType", of: machine) ?? "Other"
        model.stateFile = value("stateFile", of: machine)
        let hardware = children("Hardware", of: machine).first
        if let hardware {
            model.memory = number("RAMSize", of: children("Memory", of: hardware).first)
            model.processors = max(1, number("count", of: children("CPU", of: hardware).first))
            model.adapters = children("Network", "Adapter", of: hardware).map(adapter)
            model.ports = children("UART", "Port", of: hardware).map {
                MachineModel.Port(slot: number("slot", of: $0), path: value("path", of: $0) ?? "")
            }
        }
        model.controllers = controllers(of: machine)
        for disk in children("MediaRegistry", "HardDisks", "HardDisk", of: machine) {
            add(disk, parent: nil, to: &model)
        }
        for item in children("ExtraData", "ExtraDataItem", of: machine) {
            model.extraData[value("name", of: item) ?? ""] = value("value", of: item)
        }
        var snapshots = children("Snapshot", of: machine)
        while let snapshot = snapshots.first {
            model.snapshots.append(
                MachineModel.Snapshot(
                    uuid: self.uuid("uuid", of: snapshot) ?? "", name: value("name", of: snapshot) ?? "",
                    description: children("Description", of: snapshot).first?.stringValue ?? "",
                    time: value("timeStamp", of: snapshot) ?? "", stateFile: value("stateFile", of: snapshot),
                    controllers: controllers(of: snapshot)))
            snapshots = children("Snapshots", "Snapshot", of: snapshot)
        }
        return model
    }

    private static func adapter(_ element: XMLElement) -> MachineModel.Adapter {
        let attachment =
            SettingsWriter.attachments.first { !children($0.element, of: element).isEmpty } ?? ("null", "")
        let peer = children(attachment.element, of: element).first.flatMap { value("name", of: $0) } ?? ""
        return MachineModel.Adapter(
            slot: number("slot", of: element), mac: value("MACAddress", of: element) ?? "",
            type: value("type", of: element) ?? "virtio", attachment: attachment.name, peer: peer)
    }

    private static func controllers(of element: XMLElement) -> [MachineModel.Controller] {
        let found =
            children("Hardware", "StorageControllers", "StorageController", of: element)
            + children("StorageControllers", "StorageController", of: element)
        return found.map { controller in
            MachineModel.Controller(
                name: value("name", of: controller) ?? "", type: value("type", of: controller) ?? "",
                attachments: children("AttachedDevice", of: controller).compactMap { device in
                    children("Image", of: device).first.flatMap { uuid("uuid", of: $0) }.map {
                        MachineModel.Attachment(
                            port: number("port", of: device), device: number("device", of: device), medium: $0)
                    }
                })
        }
    }

    private static func add(_ disk: XMLElement, parent: String?, to model: inout MachineModel) {
        let medium = MachineModel.Medium(
            uuid: uuid("uuid", of: disk) ?? "", location: value("location", of: disk) ?? "",
            format: value("format", of: disk) ?? "", type: value("type", of: disk), parent: parent)
        model.media.append(medium)
        for child in children("HardDisk", of: disk) { add(child, parent: medium.uuid, to: &model) }
    }
}
