import Foundation
import FoundationXML
package import Hypervisor

/// VirtualBox's settings file of one VM (`.vbox`): what is read from it and the little that is changed.
///
/// It is what VirtualBox itself makes a VM of, so it is what is stored as the description of a member.
package struct MachineSettings {
    package struct Attachment: Sendable, Hashable {
        package var controller: String
        package var port: Int
        package var device: Int
        /// `HardDisk`, `DVD`, `Floppy`.
        package var type: String
        /// Lower case; nil for an empty drive or one of the host.
        package var medium: String?
        /// Options of `storageattach` that say the same as the settings do.
        package var options: [String]

        /// How a disk is called outside of VirtualBox, as a part of file names too.
        package var target: String {
            let name = controller.unicodeScalars.map { scalar in
                let isPlain = scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
                return isPlain ? String(scalar) : "_"
            }
            return "\(name.joined())-\(port)-\(device)"
        }
    }

    package struct Medium: Sendable, Hashable {
        package var location: String
        /// `VDI`, `VMDK`, `VHD`, `QCOW`, …
        package var format: String
        /// `Normal`, `Writethrough`, `Immutable`, `Shareable`, …; nil for one that is based on another.
        package var type: String?
        package var hasParent: Bool
    }

    private let document: XMLDocument
    private let machine: XMLElement

    package init(_ xml: String) throws(HypervisorError) {
        document = try Self.parse(xml)
        // What is damaged is mended, and what comes of that may be mended anew: VirtualBox would read other settings than
        // were looked at here.
        guard try Self.parse(document.xmlString).xmlString.utf8.elementsEqual(document.xmlString.utf8) else {
            throw .failed("A VM's settings are not well-formed XML.")
        }
        guard let root = document.rootElement(), root.name == "VirtualBox",
            let machine = Self.children("Machine", of: root).first
        else { throw .failed("A VM's settings have no machine.") }
        self.machine = machine
    }

    private static func parse(_ xml: String) throws(HypervisorError) -> XMLDocument {
        // Foundation's parser mends what is damaged, and ends the process on an empty text or a zero octet.
        let text = xml.trimmingCharacters(in: .whitespacesAndNewlines)
        guard text.hasPrefix("<"), text.hasSuffix(">") else { throw .failed("A VM's settings are not whole XML.") }
        guard !text.utf8.contains(where: { $0 < 0x20 && !"\t\n\r".utf8.contains($0) }) else {
            throw .failed("A VM's settings must not hold control characters.")
        }
        // VirtualBox writes neither; in stored settings they could make the parser read other files or other letters.
        let declared = text.utf8.starts(with: "<?xml".utf8)
        let declaration = text.prefix { $0 != ">" }.lowercased()
        guard !text.utf8.contains("<!DOCTYPE".utf8),
            !declared || !declaration.contains("encoding") || declaration.contains("\"utf-8\"")
        else { throw .failed("A VM's settings must not have a document type or another encoding.") }
        do {
            return try XMLDocument(xmlString: xml)
        } catch {
            throw .failed("A VM's settings are not well-formed XML: \(error.localizedDescription).")
        }
    }

    /// Foundation's XPath keeps every document on which it was used.
    private static func children(_ path: String..., of element: XMLElement) -> [XMLElement] {
        path.reduce([element]) { found, name in
            found.flatMap { ($0.children ?? []).compactMap { $0 as? XMLElement }.filter { $0.name == name } }
        }
    }

    /// Foundation's own look-up by name finds no attribute below a default namespace.
    private static func attribute(_ name: String, of element: XMLElement) -> XMLNode? {
        element.attributes?.first { $0.name == name }
    }

    private static func value(_ name: String, of element: XMLElement) -> String? {
        attribute(name, of: element)?.stringValue
    }

    /// VirtualBox puts UUIDs in braces.
    private static func uuid(_ text: String?) -> String? {
        text.map { $0.lowercased().filter { $0 != "{" && $0 != "}" } }.flatMap { MachineInfo.isUUID($0) ? $0 : nil }
    }

    package var xml: String { document.xmlString }

    package var uuid: String? { Self.uuid(Self.value("uuid", of: machine)) }

    package var name: String { Self.value("name", of: machine) ?? "" }

    /// Since 7.0 the controllers are a part of the hardware, before they stood beside it.
    private static func controllers(of element: XMLElement) -> [XMLElement] {
        children("Hardware", "StorageControllers", "StorageController", of: element)
            + children("StorageControllers", "StorageController", of: element)
    }

    package var attachments: [Attachment] {
        Self.controllers(of: machine).flatMap { controller in
            Self.children("AttachedDevice", of: controller).map { device in
                Attachment(
                    controller: Self.value("name", of: controller) ?? "",
                    port: Self.value("port", of: device).flatMap { Int($0) } ?? 0,
                    device: Self.value("device", of: device).flatMap { Int($0) } ?? 0,
                    type: Self.value("type", of: device) ?? "",
                    medium: Self.uuid(Self.children("Image", of: device).first.flatMap { Self.value("uuid", of: $0) }),
                    options: ["hotpluggable", "nonrotational", "discard"].flatMap { option in
                        Self.value(option, of: device) == "true" ? ["--\(option)", "on"] : []
                    })
            }
        }
    }

    /// The disks that the VM's own registry lists, by UUID.
    package var media: [String: Medium] {
        var media: [String: Medium] = [:]
        func walk(_ element: XMLElement, hasParent: Bool) {
            if let uuid = Self.uuid(Self.value("uuid", of: element)) {
                media[uuid] = Medium(
                    location: Self.value("location", of: element) ?? "",
                    format: Self.value("format", of: element) ?? "",
                    type: Self.value("type", of: element), hasParent: hasParent)
            }
            for child in Self.children("HardDisk", of: element) { walk(child, hasParent: true) }
        }
        for disk in Self.children("MediaRegistry", "HardDisks", "HardDisk", of: machine) {
            walk(disk, hasParent: false)
        }
        return media
    }

    /// The file with the saved state of a snapshot; relative to the settings file unless it begins with a slash. Nil
    /// without such a snapshot, and for one that was taken while the VM was off.
    package func stateFile(ofSnapshot uuid: String) -> String? {
        func find(in element: XMLElement) -> String? {
            for snapshot in Self.children("Snapshot", of: element) + Self.children("Snapshots", "Snapshot", of: element)
            {
                if Self.uuid(Self.value("uuid", of: snapshot)) == uuid { return Self.value("stateFile", of: snapshot) }
                if let found = find(in: snapshot) { return found }
            }
            return nil
        }
        return find(in: machine)
    }

    /// What no saved state of VirtualBox holds, or what cannot be carried to another desktop, in words for people.
    package var blockers: [String] {
        var found: [String] = []
        let hardware = Self.children("Hardware", of: machine)
        for tpm in hardware.flatMap({ Self.children("TrustedPlatformModule", of: $0) }) {
            let type = Self.value("type", of: tpm) ?? "None"
            if type != "None" { found.append("a TPM (\(type)), whose secrets are beside the saved state") }
        }
        for firmware in hardware.flatMap({ Self.children("Firmware", of: $0) }) {
            let type = Self.value("type", of: firmware) ?? "BIOS"
            if type.hasPrefix("EFI") { found.append("EFI firmware, whose variables are beside the saved state") }
        }
        for device in hardware.flatMap({ Self.children("HostPci", "Devices", "Device", of: $0) }) {
            found.append("a PCI device of the host (\(Self.value("host", of: device) ?? "?"))")
        }
        return found
    }

    /// Takes out what belongs to the desktop where the settings were written: its disks, snapshots and saved state.
    package func forget() {
        for attribute in ["currentSnapshot", "stateFile", "aborted", "currentStateModified"] {
            Self.attribute(attribute, of: machine)?.detach()
        }
        // An own folder for saved states, and the default of `Snapshots` beside the settings file.
        Self.attribute("snapshotFolder", of: machine)?.detach()
        for snapshot in Self.children("Snapshot", of: machine) { snapshot.detach() }
        for disks in Self.children("MediaRegistry", "HardDisks", of: machine) { disks.detach() }
        for controller in Self.controllers(of: machine) {
            for device in Self.children("AttachedDevice", of: controller)
            where Self.value("type", of: device) == "HardDisk" {
                device.detach()
            }
        }
    }
}
