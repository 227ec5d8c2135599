import FoundationEssentials
import Hypervisor

/// What is stored of a VM, and from which it is made again: its identity and QEMU's options, each taken apart.
///
/// ```json
/// {
///   "format": "holdfast-qemu-1",
///   "uuid": "…", "name": "web", "architecture": "x86_64",
///   "machine": "pc-i440fx-7.2",
///   "options": [{"name": "device", "values": [{"key": "", "value": "virtio-blk-pci"}, {"key": "drive", "value": "d0"}]}],
///   "nics": [{"netdev": "n0", "bridge": "br0"}]
/// }
/// ```
///
/// Who writes one by hand gives `"arguments": ["-m", "512", "-drive", "file=/vms/web.qcow2,…", …]` in the place of
/// `options`, as they stand on a command line.
///
/// Options that `OptionRules` does not know make it no description: it may come from a repository that others write to.
struct GuestDescription: Encodable, Hashable, Sendable {
    struct NIC: Codable, Hashable, Sendable {
        /// Id of the netdev; for `-nic` its place among the options.
        var netdev: String
        var bridge: String
    }

    static let format = "holdfast-qemu-1"

    /// As it stands in a file.
    private struct Written: Decodable {
        var format: String
        var uuid: String
        var name: String
        var architecture: String
        var machine: String
        var options: [GuestOption]?
        var arguments: [String]?
        var nics: [NIC]
    }

    var format = GuestDescription.format
    var uuid: String
    var name: String
    var architecture: String
    /// The versioned type, also where `pc` was asked for.
    var machine: String
    var options: [GuestOption]
    var nics: [NIC]

    init(uuid: String, name: String, architecture: String, machine: String, options: [GuestOption], nics: [NIC]) {
        self.uuid = uuid
        self.name = name
        self.architecture = architecture
        self.machine = machine
        self.options = options
        self.nics = nics
    }

    /// Reads what `text` writes, and refuses what it would not have written.
    init(_ text: String) throws(HypervisorError) {
        let written: Written
        do {
            written = try JSONDecoder().decode(Written.self, from: Data(text.utf8))
        } catch {
            throw .cannotLoad("The stored description is none of a VM under QEMU, or is damaged.")
        }
        guard written.format == Self.format else {
            throw .cannotLoad("The stored description has the format \(written.format), which is not known here.")
        }
        let line = GuestCommandLine([""] + (written.arguments ?? []))
        if let refusal = line.refusals.first {
            throw .cannotLoad("The stored description of \(written.name) has \(refusal), which cannot be carried over.")
        }
        self.init(
            uuid: written.uuid.lowercased(), name: written.name, architecture: written.architecture,
            machine: written.machine, options: (written.options ?? []) + line.options, nics: written.nics)
        try check()
    }

    private func check() throws(HypervisorError) {
        func isWord(_ text: String) -> Bool {
            !text.isEmpty && text.utf8.count < 128
                && text.utf8.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
                        UInt8(ascii: "-"):
                        true
                    default: false
                    }
                }
        }
        guard UUID(uuidString: uuid) != nil, isWord(architecture), isWord(machine), !architecture.hasPrefix("."),
            !name.isEmpty, !name.utf8.contains(0)
        else { throw .cannotLoad("The stored description of \(name) is damaged.") }
        for nic in nics where !isWord(nic.bridge) || nic.bridge.utf8.count > 15 {
            throw .cannotLoad("The stored description of \(name) has a bridge that is none: \(nic.bridge).")
        }
        for option in options {
            if case .own = OptionRules.rules[option.name] {
                throw .cannotLoad(
                    "The stored description of \(name) has the option -\(option.name), which is not its own.")
            }
            if let refusal = OptionRules.refusal(of: option) {
                throw .cannotLoad("The stored description of \(name) has \(refusal), which cannot be carried over.")
            }
            let words = option.values.map(\.value) + option.values.map(\.key)
            guard !words.contains(where: { $0.utf8.contains(0) }),
                option.values.allSatisfy({ $0.key.isEmpty || isWord($0.key) })
            else { throw .cannotLoad("The stored description of \(name) is damaged.") }
        }
    }

    var text: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        // Only strings, which JSON always holds.
        guard let data = try? encoder.encode(self) else { preconditionFailure("A description that JSON cannot hold") }
        return String(decoding: data, as: UTF8.self)
    }

    // MARK: What it says

    var disks: [GuestDisk] { GuestDisk.all(in: options) }

    var memory: UInt64 {
        let text = options.last { $0.name == "m" }.flatMap { $0[""] ?? $0["size"] } ?? "128"
        let units: [Character: UInt64] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40]
        let unit = text.last.flatMap { units[Character($0.uppercased())] }
        let digits = unit == nil ? text : String(text.dropLast())
        let (bytes, overflow) = (UInt64(digits) ?? 0).multipliedReportingOverflow(by: unit ?? 1 << 20)
        return overflow ? 0 : bytes
    }

    var accelerator: String {
        if options.contains(where: { $0.name == "enable-kvm" }) { return "kvm" }
        let named =
            options.last { $0.name == "accel" }.map { $0[""] ?? $0["accel"] ?? "tcg" }
            ?? options.last { $0.name == "machine" }?["accel"] ?? "tcg"
        return String(named.prefix { $0 != ":" })
    }

    /// Whether the guest sees the host's processor as it is.
    var hasHostProcessor: Bool {
        let model = options.last { $0.name == "cpu" }?[""]?.prefix { $0 != "," } ?? ""
        return accelerator != "tcg" && ["host", "max"].contains(model)
    }

    /// Why a background image cannot be taken of this VM's memory, if so.
    var memoryNeedsPause: String? {
        if options.contains(where: { $0.name == "mem-path" }) { return "its memory is in files of the host" }
        for object in options where object.name == "object" && object.kind.hasPrefix("memory-backend") {
            if object.kind == "memory-backend-file" { return "its memory is in files of the host" }
            if object["hugetlb"] == "on" { return "its memory is in huge pages" }
            let shared = object["share"] ?? (object.kind == "memory-backend-memfd" ? "on" : "off")
            if shared == "on" || shared == "true" || shared == "yes" { return "its memory is shared" }
        }
        return nil
    }

    /// What another host must offer for this VM.
    var requirements: [String: String] {
        [
            "driver": QEMUDriver.name, "hypervisor": "qemu", "machine": machine, "arch": architecture,
            "accelerator": accelerator == "tcg" ? "qemu" : accelerator,
            "cpu": options.last { $0.name == "cpu" }?[""] ?? "default",
        ]
    }
}
