/// An IPv6 packet (RFC 8200). Decoding walks over the extension headers to the transport's payload.
package struct IPv6Packet: Hashable, Sendable {
    package var trafficClass: UInt8
    package var flowLabel: UInt32
    package var hopLimit: UInt8
    package var source: IPAddress
    package var destination: IPAddress
    /// The protocol of `payload`: the last next-header field.
    package var protocolNumber: UInt8
    /// Whether the payload is a fragment that does not begin the packet: it then has no transport header.
    package var isLaterFragment: Bool
    package var payload: ArraySlice<UInt8>

    package init(
        source: IPAddress, destination: IPAddress, protocolNumber: UInt8, payload: ArraySlice<UInt8>,
        hopLimit: UInt8 = 64, trafficClass: UInt8 = 0, flowLabel: UInt32 = 0
    ) {
        self.trafficClass = trafficClass
        self.flowLabel = flowLabel & 0xf_ffff
        self.hopLimit = hopLimit
        self.source = source
        self.destination = destination
        self.protocolNumber = protocolNumber
        self.isLaterFragment = false
        self.payload = payload
    }

    package init(decoding bytes: ArraySlice<UInt8>) throws(PacketError) {
        var reader = ByteReader(bytes, part: "IPv6 header")
        let word = try reader.integer(UInt32.self)
        guard word >> 28 == 6 else { throw .version("IP header", found: Int(word >> 28)) }
        trafficClass = UInt8(truncatingIfNeeded: word >> 20)
        flowLabel = word & 0xf_ffff
        let payloadLength = Int(try reader.integer(UInt16.self))
        var next = try reader.uint8()
        hopLimit = try reader.uint8()
        guard let source = IPAddress(octets: try reader.bytes(16)),
            let destination = IPAddress(octets: try reader.bytes(16))
        else { throw .truncated("IPv6 header") }
        self.source = source
        self.destination = destination
        guard payloadLength <= reader.remaining.count else { throw .truncated("IPv6 packet") }
        var body = ByteReader(reader.remaining.prefix(payloadLength), part: "IPv6 extension header")
        isLaterFragment = false
        // Each turn takes at least eight octets, so the walk ends with the packet.
        walk: while true {
            switch next {
            case 0, 43, 60, 135, 139, 140:
                next = try body.uint8()
                let length = (Int(try body.uint8()) + 1) * 8
                _ = try body.bytes(length - 2)
            case 51:
                next = try body.uint8()
                let length = (Int(try body.uint8()) + 2) * 4
                _ = try body.bytes(length - 2)
            case 44:
                next = try body.uint8()
                _ = try body.uint8()
                let offset = try body.integer(UInt16.self)
                _ = try body.integer(UInt32.self)
                if offset >> 3 != 0 {
                    isLaterFragment = true
                    break walk
                }
            default: break walk
            }
        }
        protocolNumber = next
        payload = body.remaining
    }

    /// The bytes of a packet without extension headers.
    package func encode() throws(PacketError) -> [UInt8] {
        guard payload.count <= 0xffff else { throw .tooLong("IPv6 payload") }
        guard case .v6 = source, case .v6 = destination else { throw .notA("pair of IPv6 addresses") }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(40 + payload.count)
        bytes.append(bigEndian: 0x6000_0000 | UInt32(trafficClass) << 20 | flowLabel & 0xf_ffff)
        bytes.append(bigEndian: UInt16(payload.count))
        bytes.append(protocolNumber)
        bytes.append(hopLimit)
        bytes.append(contentsOf: source.octets)
        bytes.append(contentsOf: destination.octets)
        bytes.append(contentsOf: payload)
        return bytes
    }
}
