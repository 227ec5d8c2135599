/// An IPv4 or IPv6 address.
package enum IPAddress: Hashable, Sendable, CustomStringConvertible {
    case v4(UInt32)
    /// The sixteen octets as two big-endian halves.
    case v6(UInt64, UInt64)

    /// Nil unless there are four or sixteen octets.
    package init?(octets: some Collection<UInt8>) {
        switch octets.count {
        case 4: self = .v4(octets.reduce(0) { $0 << 8 | UInt32($1) })
        case 16:
            self = .v6(
                octets.prefix(8).reduce(0) { $0 << 8 | UInt64($1) },
                octets.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) })
        default: return nil
        }
    }

    package var octets: [UInt8] {
        var bytes: [UInt8] = []
        switch self {
        case .v4(let value): bytes.append(bigEndian: value)
        case .v6(let high, let low):
            bytes.append(bigEndian: high)
            bytes.append(bigEndian: low)
        }
        return bytes
    }

    /// The group address to which a multicast or limited-broadcast packet goes on Ethernet (RFC 1112, RFC 2464); nil
    /// for unicast, where only the network knows.
    package var groupHardwareAddress: HardwareAddress? {
        switch self {
        case .v4(0xffff_ffff): .broadcast
        case .v4(let value) where value >> 28 == 0xe:
            HardwareAddress(rawValue: 0x0100_5e00_0000 | UInt64(value & 0x7f_ffff))
        case .v6(let high, let low) where high >> 56 == 0xff:
            HardwareAddress(rawValue: 0x3333_0000_0000 | low & 0xffff_ffff)
        default: nil
        }
    }

    /// Dotted for IPv4; eight groups without abbreviation for IPv6.
    package var description: String {
        switch self {
        case .v4: octets.map { String($0) }.joined(separator: ".")
        case .v6(let high, let low):
            [high, low].flatMap { half in
                (0..<4).map { String(half >> (48 - 16 * UInt64($0)) & 0xffff, radix: 16) }
            }.joined(separator: ":")
        }
    }
}
