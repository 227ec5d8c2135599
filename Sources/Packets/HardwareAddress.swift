/// A 48-bit IEEE 802 address.
package struct HardwareAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The six octets in transmission order, in the low 48 bits.
    package let rawValue: UInt64

    package static let broadcast = HardwareAddress(rawValue: 0xffff_ffff_ffff)

    package init(rawValue: UInt64) { self.rawValue = rawValue & 0xffff_ffff_ffff }

    /// Nil unless there are exactly six octets.
    package init?(octets: some Collection<UInt8>) {
        guard octets.count == 6 else { return nil }
        self.rawValue = octets.reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Six pairs of hexadecimal digits of either case, with colons or hyphens between them; nil for anything else.
    package init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 17 else { return nil }
        let separator = bytes[2]
        guard separator == UInt8(ascii: ":") || separator == UInt8(ascii: "-") else { return nil }
        var value: UInt64 = 0
        for (index, byte) in bytes.enumerated() {
            if index % 3 == 2 {
                guard byte == separator else { return nil }
                continue
            }
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt64(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt64(byte - UInt8(ascii: "a") + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt64(byte - UInt8(ascii: "A") + 10)
            default: return nil
            }
        }
        self.rawValue = value
    }

    package var octets: [UInt8] { (0..<6).map { UInt8(truncatingIfNeeded: rawValue >> (40 - 8 * UInt64($0))) } }

    /// Whether the address names a group, to which broadcast belongs.
    package var isGroup: Bool { rawValue & 0x0100_0000_0000 != 0 }

    package static func < (lhs: HardwareAddress, rhs: HardwareAddress) -> Bool { lhs.rawValue < rhs.rawValue }

    /// Lower case with colons.
    package var description: String {
        let digits = Array("0123456789abcdef".utf8)
        let pairs = octets.map { String(decoding: [digits[Int($0 >> 4)], digits[Int($0 & 15)]], as: UTF8.self) }
        return pairs.joined(separator: ":")
    }
}
