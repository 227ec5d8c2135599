import MarkupTree

/// Writes a VM's settings as VirtualBox's settings file has them.
struct SettingsWriter {
    /// Of the settings' version: since 1.19 the controllers are a part of the hardware.
    let isOld: Bool
    private var lines: [String] = []

    init(isOld: Bool) { self.isOld = isOld }

    static func text(_ machine: MachineModel, isOld: Bool) -> String {
        var writer = SettingsWriter(isOld: isOld)
        writer.write(machine)
        return writer.lines.joined(separator: "\n") + "\n"
    }

    private func element(_ name: String, _ attributes: [(String, String?)], closed: Bool = true) -> String {
        let text = attributes.compactMap { key, value in value.map { " \(key)=\"\(MarkupEscape.attribute($0))\"" } }
            .joined()
        return "<\(name)\(text)\(closed ? "/" : "")>"
    }

    private mutating func write(_ machine: MachineModel) {
        lines.append("<?xml version=\"1.0\"?>")
        lines.append("<!-- Written by Holdfast's stand-in for VBoxManage, which is not VirtualBox. -->")
        lines.append(
            element(
                "VirtualBox",
                [("xmlns", "http://www.virtualbox.org/"), ("version", isOld ? "1.16-linux" : "1.19-linux")],
                closed: false))
        lines.append(
            element(
                "Machine",
                [
                    ("uuid", "{\(machine.uuid)}"), ("name", machine.name), ("OSType", machine.osType),
                    ("currentSnapshot", machine.snapshots.last.map { "{\($0.uuid)}" }),
                    ("stateFile", machine.stateFile),
                    ("snapshotFolder", "Snapshots"),
                ], closed: false))
        lines.append("<MediaRegistry><HardDisks>")
        for medium in machine.media where medium.parent == nil { write(medium, of: machine) }
        lines.append("</HardDisks></MediaRegistry>")
        lines.append("<ExtraData>")
        for (key, value) in machine.extraData.sorted(by: { $0.key < $1.key }) {
            lines.append(element("ExtraDataItem", [("name", key), ("value", value)]))
        }
        lines.append("</ExtraData>")
        write(machine.snapshots[...], of: machine)
        writeHardware(machine, machine.controllers)
        lines.append("</Machine>")
        lines.append("</VirtualBox>")
    }

    private mutating func write(_ medium: MachineModel.Medium, of machine: MachineModel) {
        let children = machine.media.filter { $0.parent == medium.uuid }
        lines.append(
            element(
                "HardDisk",
                [
                    ("uuid", "{\(medium.uuid)}"), ("location", medium.location), ("format", medium.format),
                    ("type", medium.parent == nil ? medium.type ?? "Normal" : nil),
                ], closed: children.isEmpty))
        guard !children.isEmpty else { return }
        for child in children { write(child, of: machine) }
        lines.append("</HardDisk>")
    }

    private mutating func write(_ snapshots: ArraySlice<MachineModel.Snapshot>, of machine: MachineModel) {
        guard let snapshot = snapshots.first else { return }
        lines.append(
            element(
                "Snapshot",
                [
                    ("uuid", "{\(snapshot.uuid)}"), ("name", snapshot.name), ("timeStamp", snapshot.time),
                    ("stateFile", snapshot.stateFile),
                ], closed: false))
        if !snapshot.description.isEmpty {
            lines.append("<Description>\(MarkupEscape.text(snapshot.description))</Description>")
        }
        writeHardware(machine, snapshot.controllers)
        if snapshots.count > 1 {
            lines.append("<Snapshots>")
            write(snapshots.dropFirst(), of: machine)
            lines.append("</Snapshots>")
        }
        lines.append("</Snapshot>")
    }

    private mutating func writeHardware(_ machine: MachineModel, _ controllers: [MachineModel.Controller]) {
        lines.append("<Hardware>")
        lines.append(element("CPU", [("count", "\(machine.processors)")]))
        lines.append(element("Memory", [("RAMSize", "\(machine.memory)")]))
        lines.append("<Network>")
        for adapter in machine.adapters {
            lines.append(
                element(
                    "Adapter",
                    [
                        ("slot", "\(adapter.slot)"), ("enabled", "true"), ("MACAddress", adapter.mac),
                        ("type", adapter.type),
                    ], closed: false))
            let name = Self.attachments.first { $0.name == adapter.attachment }?.element ?? "NAT"
            lines.append(element(name, [("name", adapter.attachment == "nat" ? nil : adapter.peer)]))
            lines.append("</Adapter>")
        }
        lines.append("</Network>")
        lines.append("<UART>")
        for port in machine.ports {
            lines.append(
                element(
                    "Port",
                    [
                        ("slot", "\(port.slot)"), ("enabled", "true"), ("IOBase", "0x3f8"), ("IRQ", "4"),
                        ("hostMode", "RawFile"), ("path", port.path),
                    ]))
        }
        lines.append("</UART>")
        if isOld { lines.append("</Hardware>") }
        lines.append("<StorageControllers>")
        for controller in controllers {
            lines.append(
                element("StorageController", [("name", controller.name), ("type", controller.type)], closed: false))
            for attachment in controller.attachments {
                lines.append(
                    element(
                        "AttachedDevice",
                        [
                            ("type", "HardDisk"), ("hotpluggable", "false"), ("port", "\(attachment.port)"),
                            ("device", "\(attachment.device)"),
                        ], closed: false))
                lines.append(element("Image", [("uuid", "{\(attachment.medium)}")]))
                lines.append("</AttachedDevice>")
            }
            lines.append("</StorageController>")
        }
        lines.append("</StorageControllers>")
        if !isOld { lines.append("</Hardware>") }
    }

    static let attachments: [(name: String, element: String)] = [
        ("bridged", "BridgedInterface"), ("nat", "NAT"), ("intnet", "InternalNetwork"),
        ("hostonly", "HostOnlyInterface"), ("natnetwork", "NATNetwork"),
    ]
}
