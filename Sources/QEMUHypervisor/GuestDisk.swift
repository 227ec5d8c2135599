import Hypervisor

/// One disk of the guest, as its options describe it.
struct GuestDisk: Hashable, Sendable {
    /// Name in the guest, in the order of the devices: `vda`, `vdb`, `sda`, …
    var target: String
    /// The drive or block node that the device has.
    var backend: String
    /// Id of the device, if it has one.
    var device: String?
    var path: String?
    var format: String
    var readOnly: Bool

    static func all(in options: [GuestOption]) -> [GuestDisk] {
        var disks: [GuestDisk] = []
        var counts: [String: Int] = [:]
        func target(_ prefix: String) -> String {
            defer { counts[prefix, default: 0] += 1 }
            return letters(prefix, counts[prefix, default: 0])
        }
        // Those that QEMU attaches by itself; they come before the devices.
        var units: [String: Int] = [:]
        for drive in options where drive.name == "drive" && drive["if"] != "none" && drive["media"] != "cdrom" {
            let bus = drive["if"] ?? "ide"
            let unit = units[bus, default: 0]
            units[bus] = unit + 1
            let name = drive["id"] ?? (bus == "virtio" ? "virtio\(unit)" : "\(bus)\(unit / 2)-hd\(unit % 2)")
            disks.append(disk(drive, target: target(bus == "virtio" ? "vd" : "sd"), backend: name, device: nil))
        }
        for device in options where device.name == "device" {
            guard let backend = device["drive"] else { continue }
            let kind = device.kind
            guard !kind.hasSuffix("-cd") else { continue }
            let prefix = kind.hasPrefix("virtio-blk") ? "vd" : "sd"
            let drive = options.first {
                $0.name == "drive" && $0["id"] == backend || $0.name == "blockdev" && $0["node-name"] == backend
            }
            guard let drive, drive["media"] != "cdrom" else { continue }
            disks.append(disk(drive, in: options, target: target(prefix), backend: backend, device: device["id"]))
        }
        return disks
    }

    private static func letters(_ prefix: String, _ index: Int) -> String {
        let letter = Character(Unicode.Scalar(UInt8(97 + index % 26)))
        return index < 26 ? "\(prefix)\(letter)" : letters(prefix, index / 26 - 1) + String(letter)
    }

    private static func disk(
        _ drive: GuestOption, in options: [GuestOption] = [], target: String, backend: String, device: String?
    ) -> GuestDisk {
        let readOnly = ["readonly", "read-only"].contains { drive[$0] == "on" || drive[$0] == "true" }
        var path = drive["file"]
        var format = drive["format"] ?? drive["driver"] ?? "raw"
        if drive.name == "blockdev" {
            let below = options.first { $0.name == "blockdev" && $0["node-name"] == drive["file"] }
            path = drive["filename"] ?? drive["file.filename"] ?? below?["filename"]
            if format == "file" { format = "raw" }
        }
        return GuestDisk(
            target: target, backend: backend, device: device, path: path, format: format, readOnly: readOnly)
    }

    /// Points the disk at another file.
    func replace(in options: inout [GuestOption], path: String, format: String) {
        let index = options.firstIndex {
            $0.name == "drive" && $0["id"] == backend || $0.name == "blockdev" && $0["node-name"] == backend
        }
        guard let place = index ?? unnamedDrive(in: options) else { return }
        if options[place].name == "drive" {
            options[place]["driver"] = nil
            options[place]["file"] = path
            options[place]["format"] = format
            return
        }
        options[place]["backing"] = nil
        if let below = options.firstIndex(where: {
            $0.name == "blockdev" && $0["node-name"] == options[place]["file"]
        }) {
            options[place]["driver"] = format
            options[below]["filename"] = path
        } else if options[place]["driver"] == "file" {
            // Without a layer for its format.
            var file = [GuestOption.Value("file.driver", "file"), .init("file.filename", path)]
            for key in ["aio", "locking", "cache.direct", "cache.no-flush"] {
                if let value = options[place][key] { file.append(.init("file.\(key)", value)) }
            }
            options[place] = GuestOption("blockdev", [.init("driver", format), .init("node-name", backend)] + file)
        } else {
            options[place]["driver"] = format
            options[place]["file.filename"] = path
        }
    }

    private func unnamedDrive(in options: [GuestOption]) -> Int? {
        options.firstIndex { $0.name == "drive" && $0["id"] == nil && $0["file"] == self.path }
    }
}
