package import Hypervisor
import MarkupTree

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

    private let document: MarkupDocument
    private let machine: MarkupElement

    package init(_ xml: String) throws(HypervisorError) {
        do throws(MarkupError) {
            document = try MarkupDocument(xml)
        } catch {
            throw .failed("A VM's settings \(error.predicate).")
        }
        guard document.root.name == "VirtualBox", let machine = document.root.element("Machine") else {
            throw .failed("A VM's settings have no machine.")
        }
        self.machine = machine
    }

    /// VirtualBox puts UUIDs in braces.
    private static func uuid(_ text: String?) -> String? {
        text.map { $0.lowercased().filter { $0 != "{" && $0 != "}" } }.flatMap { MachineInfo.isUUID($0) ? $0 : nil }
    }

    package var xml: String { document.xml }

    package var uuid: String? { Self.uuid(machine["uuid"]) }

    package var name: String { machine["name"] ?? "" }

    /// Since 7.0 the controllers are a part of the hardware, before they stood beside it.
    private static func controllers(of element: MarkupElement) -> [MarkupElement] {
        element.elements("Hardware", "StorageControllers", "StorageController")
            + element.elements("StorageControllers", "StorageController")
    }

    package var attachments: [Attachment] {
        Self.controllers(of: machine).flatMap { controller in
            controller.elements("AttachedDevice").map { device in
                Attachment(
                    controller: controller["name"] ?? "",
                    port: device["port"].flatMap { Int($0) } ?? 0,
                    device: device["device"].flatMap { Int($0) } ?? 0,
                    type: device["type"] ?? "", medium: Self.uuid(device.element("Image")?["uuid"]),
                    options: ["hotpluggable", "nonrotational", "discard"].flatMap { option in
                        device[option] == "true" ? ["--\(option)", "on"] : []
                    })
            }
        }
    }

    /// The disks that the VM's own registry lists, by UUID.
    package var media: [String: Medium] {
        var media: [String: Medium] = [:]
        func walk(_ element: MarkupElement, hasParent: Bool) {
            if let uuid = Self.uuid(element["uuid"]) {
                media[uuid] = Medium(
                    location: element["location"] ?? "", format: element["format"] ?? "", type: element["type"],
                    hasParent: hasParent)
            }
            for child in element.elements("HardDisk") { walk(child, hasParent: true) }
        }
        for disk in machine.elements("MediaRegistry", "HardDisks", "HardDisk") { walk(disk, hasParent: false) }
        return media
    }

    /// The file with the saved state of a snapshot; relative to the settings file unless it begins with a slash. Nil
    /// without such a snapshot, and for one that was taken while the VM was off.
    package func stateFile(ofSnapshot uuid: String) -> String? {
        func find(in element: MarkupElement) -> String? {
            for snapshot in element.elements("Snapshot") + element.elements("Snapshots", "Snapshot") {
                if Self.uuid(snapshot["uuid"]) == uuid { return snapshot["stateFile"] }
                if let found = find(in: snapshot) { return found }
            }
            return nil
        }
        return find(in: machine)
    }

    /// What no saved state of VirtualBox holds, or what cannot be carried to another desktop, in words for people.
    package var blockers: [String] {
        var found: [String] = []
        let hardware = machine.elements("Hardware")
        for tpm in hardware.flatMap({ $0.elements("TrustedPlatformModule") }) {
            let type = tpm["type"] ?? "None"
            if type != "None" { found.append("a TPM (\(type)), whose secrets are beside the saved state") }
        }
        for firmware in hardware.flatMap({ $0.elements("Firmware") }) {
            let type = firmware["type"] ?? "BIOS"
            if type.hasPrefix("EFI") { found.append("EFI firmware, whose variables are beside the saved state") }
        }
        for device in hardware.flatMap({ $0.elements("HostPci", "Devices", "Device") }) {
            found.append("a PCI device of the host (\(device["host"] ?? "?"))")
        }
        return found
    }

    /// Takes out what belongs to the desktop where the settings were written: its disks, snapshots and saved state.
    package func forget() {
        // Also an own folder for saved states, where the default is `Snapshots` beside the settings file.
        for attribute in ["currentSnapshot", "stateFile", "aborted", "currentStateModified", "snapshotFolder"] {
            machine[attribute] = nil
        }
        machine.remove("Snapshot")
        for registry in machine.elements("MediaRegistry") { registry.remove("HardDisks") }
        for controller in Self.controllers(of: machine) {
            controller.remove("AttachedDevice") { $0["type"] == "HardDisk" }
        }
    }
}
