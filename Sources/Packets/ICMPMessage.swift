/// An ICMP message of either IP version (RFC 792, RFC 4443): type, code, and what follows the checksum.
package struct ICMPMessage: Hashable, Sendable {
    package var type: UInt8
    package var code: UInt8
    package var body: ArraySlice<UInt8>

    package init(type: UInt8, code: UInt8, body: ArraySlice<UInt8>) {
        self.type = type
        self.code = code
        self.body = body
    }

    /// Does not look at the checksum, which for IPv6 needs the addresses: see `InternetChecksum`.
    package init(decoding bytes: ArraySlice<UInt8>) throws(PacketError) {
        var reader = ByteReader(bytes, part: "ICMP header")
        type = try reader.uint8()
        code = try reader.uint8()
        _ = try reader.integer(UInt16.self)
        body = reader.remaining
    }

    /// The bytes of an ICMP message for IPv4.
    package var encoded: [UInt8] { finish { InternetChecksum.of($0) } }

    /// The bytes of an ICMPv6 message, whose checksum covers the addresses.
    package func encode(source: IPAddress, destination: IPAddress) -> [UInt8] {
        finish {
            InternetChecksum.transport(
                $0, protocolNumber: TransportProtocol.icmpv6, source: source, destination: destination)
        }
    }

    private func finish(_ checksum: ([UInt8]) -> UInt16) -> [UInt8] {
        var bytes: [UInt8] = [type, code, 0, 0]
        bytes.append(contentsOf: body)
        let value = checksum(bytes)
        bytes[2] = UInt8(value >> 8)
        bytes[3] = UInt8(value & 0xff)
        return bytes
    }
}
