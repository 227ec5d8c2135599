import FoundationEssentials
import Glibc

/// What AppArmor has denied to the QEMU of one VM, as the kernel tells it:
/// `apparmor="DENIED" operation="open" profile="libvirt-UUID" name="/path" … requested_mask="wr" denied_mask="wr"`.
struct AppArmorDenial: Hashable, Sendable {
    var path: String
    /// As in `wr`.
    var mask: String

    /// What to do, for people.
    var advice: String {
        let folder = path.split(separator: "/", omittingEmptySubsequences: true).dropLast().joined(separator: "/")
        return "AppArmor denies QEMU \(path) (\(mask)). Add the line `\"/\(folder)/**\" rwk,` to "
            + "/etc/apparmor.d/local/abstractions/libvirt-qemu, reload with `systemctl reload apparmor`, and start the "
            + "VM anew or run `apparmor_parser -r` on its profile in /etc/apparmor.d/libvirt."
    }

    init(path: String, mask: String) {
        self.path = path
        self.mask = mask
    }

    /// Reads one line of the kernel's log or of auditd's; nil when it is no denial of that VM's profile.
    init?(line: some StringProtocol, uuid: String) {
        guard line.contains("apparmor=\"DENIED\""), Self.field("profile", in: line) == "libvirt-\(uuid)",
            let path = Self.field("name", in: line), path.hasPrefix("/")
        else { return nil }
        self.init(path: path, mask: Self.field("denied_mask", in: line) ?? "r")
    }

    /// In quotes, or in hexadecimal when it holds blanks, quotes or anything that is not ASCII.
    private static func field(_ name: String, in line: some StringProtocol) -> String? {
        for word in line.split(separator: " ") where word.hasPrefix("\(name)=") {
            let value = word.dropFirst(name.utf8.count + 1)
            if value.hasPrefix("\"") { return String(value.dropFirst().prefix { $0 != "\"" }) }
            let digits = Array(value.utf8)
            guard !digits.isEmpty, digits.count.isMultiple(of: 2) else { return nil }
            var bytes: [UInt8] = []
            for place in stride(from: 0, to: digits.count, by: 2) {
                guard let byte = UInt8(String(decoding: digits[place..<place + 2], as: UTF8.self), radix: 16) else {
                    return nil
                }
                bytes.append(byte)
            }
            return String(validating: bytes, as: UTF8.self)
        }
        return nil
    }

    /// The last denial of a VM that can be found, in the files of auditd and syslog and in the kernel's own buffer.
    static func latest(of uuid: String) -> AppArmorDenial? {
        for file in ["/var/log/audit/audit.log", "/var/log/kern.log", "/var/log/syslog"] {
            if let found = latest(of: uuid, in: tail(of: file)) { return found }
        }
        return latest(of: uuid, in: kernelBuffer())
    }

    static func latest(of uuid: String, in log: String) -> AppArmorDenial? {
        log.split(separator: "\n").reversed().lazy.compactMap { AppArmorDenial(line: $0, uuid: uuid) }.first
    }

    private static let tailLength: UInt64 = 1 << 18

    private static func tail(of path: String) -> String {
        guard let file = fopen(path, "r") else { return "" }
        defer { fclose(file) }
        fseek(file, 0, SEEK_END)
        let size = UInt64(max(0, ftell(file)))
        fseek(file, Int(size > tailLength ? size - tailLength : 0), SEEK_SET)
        var bytes = [UInt8](repeating: 0, count: Int(min(size, tailLength)))
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    /// One record a read, as the kernel gives it out.
    private static func kernelBuffer() -> String {
        let device = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard device >= 0 else { return "" }
        defer { close(device) }
        var text = ""
        var record = [UInt8](repeating: 0, count: 8192)
        while true {
            let count = read(device, &record, record.count)
            // EPIPE: the record was overwritten meanwhile, and the next one follows.
            if count < 0, errno == EPIPE { continue }
            if count <= 0 { return text }
            text += String(decoding: record.prefix(count), as: UTF8.self)
        }
    }
}
