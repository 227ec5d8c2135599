/// Which of QEMU's options can be carried over to another process, on this host or another. Whatever is not named
/// here is not.
enum OptionRules {
    enum Rule: Sendable {
        /// Stands alone.
        case flag
        /// One value that is taken as a whole.
        case plain
        /// A list of keys and values; only these keys.
        case keys(Set<String>)
        /// A list whose first value is a kind, each with its own keys.
        case kinds([String: Set<String>])
        /// A device of the guest: see `devices`.
        case device
        /// Of the process and not of the guest: another process has its own.
        case own(hasValue: Bool)
    }

    static func isPlain(_ option: String) -> Bool {
        if case .plain = rules[option] { true } else { false }
    }

    private static let drive: Set<String> = [
        "file", "format", "if", "id", "index", "bus", "unit", "media", "cache", "aio", "discard", "detect-zeroes",
        "readonly", "read-only", "werror", "rerror", "serial", "copy-on-read", "cache.direct", "cache.no-flush",
        "cache.writeback", "file.locking", "driver",
    ]

    private static let node: Set<String> = {
        let file = ["filename", "aio", "locking", "cache.direct", "cache.no-flush", "read-only", "auto-read-only"]
        let common = [
            "driver", "node-name", "file", "discard", "detect-zeroes", "backing", "lazy-refcounts", "l2-cache-size",
            "cache-size", "file.driver", "file.node-name", "file.discard",
        ]
        return Set(common + file + file.map { "file.\($0)" })
    }()

    private static let memory: Set<String> = ["", "qom-type", "id", "size", "prealloc", "share", "merge", "dump"]

    static let rules: [String: Rule] = [
        "nodefaults": .flag, "no-user-config": .flag, "enable-kvm": .flag, "no-reboot": .flag, "no-shutdown": .flag,
        "no-hpet": .flag, "no-acpi": .flag, "no-fd-bootchk": .flag, "mem-prealloc": .flag,
        "cpu": .plain, "kernel": .plain, "initrd": .plain, "append": .plain, "vga": .plain, "serial": .plain,
        "parallel": .plain, "mem-path": .plain, "k": .plain,
        "machine": .keys([
            "", "type", "accel", "usb", "vmport", "hpet", "dump-guest-core", "mem-merge", "kernel_irqchip",
            "kernel-irqchip", "graphics", "smm", "acpi", "memory-backend", "i8042", "smbus", "sata", "pit", "pic",
        ]),
        "accel": .keys(["", "accel", "thread", "tb-size", "kernel-irqchip", "dirty-ring-size"]),
        "m": .keys(["", "size"]), "smp": .keys(["", "cpus", "sockets", "dies", "clusters", "cores", "threads"]),
        "rtc": .keys(["base", "clock", "driftfix"]), "boot": .keys(["", "order", "strict", "menu"]),
        "global": .keys(["", "driver", "property", "value"]),
        "drive": .keys(drive), "blockdev": .keys(node), "device": .device,
        "netdev": .kinds([
            "tap": [
                "", "type", "id", "ifname", "fd", "script", "downscript", "br", "helper", "vhost", "sndbuf",
                "vnet_hdr",
            ],
            "bridge": ["", "type", "id", "br", "helper"],
        ]),
        "nic": .kinds([
            "none": [""],
            "tap": [
                "", "type", "id", "ifname", "fd", "script", "downscript", "br", "helper", "vhost", "model", "mac",
                "addr",
            ],
            "bridge": ["", "type", "id", "br", "helper", "model", "mac", "addr"],
        ]),
        "chardev": .kinds([
            "file": ["", "id", "path", "append"], "null": ["", "id"],
            // Of the guest's console; what is at its other end stays where it is.
            "stdio": ["", "id", "mux", "signal"], "pty": ["", "id"], "vc": ["", "id"],
            "socket": ["", "id", "path", "server", "wait", "reconnect", "host", "port", "ipv4", "ipv6"],
        ]),
        "object": .kinds([
            "memory-backend-ram": memory, "memory-backend-memfd": memory.union(["hugetlb", "hugetlbsize", "seal"]),
            "memory-backend-file": memory.union(["mem-path"]), "iothread": ["", "qom-type", "id"],
            "rng-random": ["", "qom-type", "id", "filename"], "rng-builtin": ["", "qom-type", "id"],
        ]),
        "name": .own(hasValue: true), "uuid": .own(hasValue: true), "qmp": .own(hasValue: true),
        "qmp-pretty": .own(hasValue: true), "mon": .own(hasValue: true), "monitor": .own(hasValue: true),
        "pidfile": .own(hasValue: true), "daemonize": .own(hasValue: false), "S": .own(hasValue: false),
        "sandbox": .own(hasValue: true), "D": .own(hasValue: true), "d": .own(hasValue: true),
        "msg": .own(hasValue: true), "display": .own(hasValue: true), "vnc": .own(hasValue: true),
        "nographic": .own(hasValue: false), "incoming": .own(hasValue: true), "runas": .own(hasValue: true),
        "overcommit": .own(hasValue: true), "run-with": .own(hasValue: true), "full-screen": .own(hasValue: false),
    ]

    /// Other spellings of the same.
    static let aliases = ["M": "machine"]

    /// Devices whose state QEMU saves whole, and that need nothing of the host beyond disks and NICs.
    static func isDevice(_ name: String) -> Bool {
        let virtio = ["blk", "net", "rng", "balloon", "scsi", "serial", "gpu", "keyboard", "mouse", "tablet"]
        let endings = ["", "-pci", "-pci-transitional", "-pci-non-transitional"]
        if virtio.contains(where: { kind in endings.contains { name == "virtio-\(kind)\($0)" } }) { return true }
        return devices.contains(name)
    }

    private static let devices: Set<String> = [
        "virtio-vga", "scsi-hd", "scsi-cd", "ide-hd", "ide-cd", "e1000", "e1000-82540em", "e1000e", "rtl8139", "VGA",
        "bochs-display", "cirrus-vga", "secondary-vga", "isa-serial", "pci-serial", "pcie-root-port",
        "pcie-pci-bridge", "pci-bridge", "ahci", "ich9-ahci", "nec-usb-xhci", "qemu-xhci", "piix3-usb-uhci",
        "piix4-usb-uhci", "usb-ehci", "usb-tablet", "usb-kbd", "usb-mouse", "intel-hda", "ich9-intel-hda",
        "hda-output", "hda-duplex", "hda-micro", "AC97", "i6300esb", "pvpanic", "lsi53c895a", "isa-debug-exit",
    ]

    /// Why an option cannot be carried over, in words for people; nil if it can.
    static func refusal(of option: GuestOption) -> String? {
        guard let rule = rules[option.name] else { return "the option -\(option.name)" }
        switch rule {
        case .flag, .plain, .own: return hostPath(in: option)
        case .keys(let keys): return unknownKey(in: option, keys) ?? hostPath(in: option)
        case .kinds(let kinds):
            guard let keys = kinds[option.kind] else { return "-\(option.name) \(option.kind)" }
            return unknownKey(in: option, keys) ?? hostPath(in: option)
        case .device:
            guard isDevice(option.kind) else { return "the device \(option.kind)" }
            if let rom = option["romfile"], !rom.isEmpty { return "the device \(option.kind) with a romfile" }
            return nil
        }
    }

    private static func unknownKey(in option: GuestOption, _ keys: Set<String>) -> String? {
        let unknown = option.values.first { !keys.contains($0.key) }
        return unknown.map { "-\(option.name) with `\($0.key)`" }
    }

    /// Options that name something of the host, beyond what a description may name.
    private static func hostPath(in option: GuestOption) -> String? {
        switch (option.name, option.kind) {
        case ("drive", _):
            if option["if"] == "pflash" { return "firmware in flash (-drive if=pflash)" }
            if let format = option["format"] ?? option["driver"], !formats.contains(format) {
                return "a disk of the format \(format)"
            }
            return option["file"].flatMap { isFile($0) ? nil : "a disk that is no file (\($0))" }
        case ("blockdev", _):
            for driver in [option["driver"], option["file.driver"]].compactMap({ $0 })
            where !formats.contains(driver) && driver != "file" {
                return "a disk of the kind \(driver)"
            }
            return nil
        case ("object", "rng-random"):
            let source = option["filename"] ?? "/dev/urandom"
            return source == "/dev/urandom" || source == "/dev/random" ? nil : "random numbers from \(source)"
        case ("object", "memory-backend-file"), ("mem-path", _):
            let path = option["mem-path"] ?? option[""] ?? ""
            return path.hasPrefix("/dev/hugepages") || path.hasPrefix("/dev/shm") ? nil : "memory in the file \(path)"
        default: return nil
        }
    }

    static let formats: Set<String> = ["qcow2", "raw"]

    /// QEMU takes `nbd:…` or `json:…` for something else than a path.
    static func isFile(_ path: String) -> Bool {
        path.hasPrefix("/") || !path.prefix { $0 != "/" }.contains(":")
    }
}
