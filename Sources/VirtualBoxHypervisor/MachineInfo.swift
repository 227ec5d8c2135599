package import Hypervisor

/// What `showvminfo --machinereadable` says of one VM, as far as it is used here.
package struct MachineInfo: Sendable, Hashable {
    package struct Adapter: Sendable, Hashable {
        /// As in `--nic1`.
        package var number: Int
        /// Lower-case, with colons.
        package var mac: String
        /// `bridged`, `nat`, `natnetwork`, `intnet`, `hostonly`, …
        package var attachment: String
        /// What it is attached to: a host interface or a network's name.
        package var peer: String?
    }

    package struct Medium: Sendable, Hashable {
        package var controller: String
        package var port: Int
        package var device: Int
        package var path: String
        package var uuid: String
    }

    /// Lower case with hyphens.
    package var uuid: String
    package var name: String
    /// As VirtualBox words it: `running`, `paused`, `poweroff`, `saved`, `onlinesnapshotting`, …
    package var stateName: String
    package var settingsFile: String
    package var logFolder: String
    /// MiB.
    package var memory: UInt64
    package var adapters: [Adapter]
    package var media: [Medium]
    package var text: MachineReadable

    /// Nil for a VM whose settings VirtualBox cannot read, and for anything that is no VM's.
    package init?(_ text: MachineReadable) {
        guard let uuid = text["UUID"], Self.isUUID(uuid), let name = text["name"], let state = text["VMState"] else {
            return nil
        }
        self.uuid = uuid.lowercased()
        self.name = name
        self.text = text
        stateName = state
        settingsFile = text["CfgFile"] ?? ""
        logFolder = text["LogFldr"] ?? ""
        memory = text["memory"].flatMap { UInt64($0) } ?? 0
        adapters = Self.adapters(text)
        media = Self.media(text)
    }

    package var state: VirtualMachine.State {
        switch stateName {
        // Its snapshots are deleted behind the guest, which goes on.
        case "running", "livesnapshotting", "deletingsnapshotlive": .running
        case "paused", "deletingsnapshotlivepaused", "onlinesnapshotting": .paused
        case "poweroff", "saved", "aborted", "aborted-saved", "teleported", "deletingsnapshot": .off
        default: .other
        }
    }

    /// Whether VirtualBox is doing something with the VM that ends by itself, and refuses all else meanwhile.
    package var isBusy: Bool {
        [
            "onlinesnapshotting", "saving", "restoring", "starting", "stopping", "settingup", "snapshotting",
            "restoringsnapshot", "deletingsnapshot", "deletingsnapshotlivepaused", "livesnapshotting",
        ].contains(stateName)
    }

    package static func isUUID(_ text: String) -> Bool {
        let octets = Array(text.utf8)
        guard octets.count == 36 else { return false }
        return octets.indices.allSatisfy { index in
            let isHyphen = [8, 13, 18, 23].contains(index)
            return isHyphen ? octets[index] == UInt8(ascii: "-") : isHexadecimal(octets[index])
        }
    }

    private static func isHexadecimal(_ octet: UInt8) -> Bool {
        switch octet {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"):
            true
        default: false
        }
    }

    // MARK: Devices

    private static let mostAdapters = 36

    private static func adapters(_ text: MachineReadable) -> [Adapter] {
        (1...mostAdapters).compactMap { number in
            guard let attachment = text["nic\(number)"]?.lowercased(), attachment != "none" else { return nil }
            let keys = [
                "bridged": "bridgeadapter", "natnetwork": "nat-network", "nat": "natnet", "intnet": "intnet",
                "hostonly": "hostonlyadapter", "hostonlynetwork": "hostonly-network", "generic": "generic",
            ]
            return Adapter(
                number: number, mac: address(text["macaddress\(number)"] ?? ""), attachment: attachment,
                peer: keys[attachment].flatMap { text["\($0)\(number)"] })
        }
    }

    /// VirtualBox writes twelve digits without separators.
    private static func address(_ digits: String) -> String {
        let digits = Array(digits.lowercased().filter { $0 != ":" && $0 != "-" })
        return stride(from: 0, to: digits.count, by: 2).map { String(digits[$0..<min($0 + 2, digits.count)]) }
            .joined(separator: ":")
    }

    /// The keys are made of the controller's name, which may hold anything: `"SATA-0-0"="/disk.vdi"` and
    /// `"SATA-ImageUUID-0-0"="…"`.
    private static func media(_ text: MachineReadable) -> [Medium] {
        text.entries.compactMap { entry in
            guard let (prefix, port, device) = place(entry.key), prefix.hasSuffix("-ImageUUID") else { return nil }
            let controller = String(prefix.dropLast("-ImageUUID".count))
            guard let path = text["\(controller)-\(port)-\(device)"], path.hasPrefix("/") else { return nil }
            return Medium(
                controller: controller, port: port, device: device, path: path, uuid: entry.value.lowercased())
        }
    }

    private static func place(_ key: String) -> (prefix: String, port: Int, device: Int)? {
        let parts = key.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count >= 3, let device = Int(parts[parts.count - 1]), let port = Int(parts[parts.count - 2]) else {
            return nil
        }
        return (parts.dropLast(2).joined(separator: "-"), port, device)
    }
}
