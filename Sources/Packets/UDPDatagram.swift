/// A UDP datagram (RFC 768).
package struct UDPDatagram: Hashable, Sendable {
    package var sourcePort: UInt16
    package var destinationPort: UInt16
    package var payload: ArraySlice<UInt8>

    package init(sourcePort: UInt16, destinationPort: UInt16, payload: ArraySlice<UInt8>) {
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
        self.payload = payload
    }

    /// Does not look at the checksum, which needs the addresses: see `InternetChecksum.transport`.
    package init(decoding bytes: ArraySlice<UInt8>) throws(PacketError) {
        var reader = ByteReader(bytes, part: "UDP header")
        sourcePort = try reader.integer()
        destinationPort = try reader.integer()
        let length = Int(try reader.integer(UInt16.self))
        _ = try reader.integer(UInt16.self)
        guard length >= 8 else { throw .length("UDP header") }
        guard length <= bytes.count else { throw .truncated("UDP datagram") }
        payload = try reader.bytes(length - 8)
    }

    package func encode(source: IPAddress, destination: IPAddress) throws(PacketError) -> [UInt8] {
        guard payload.count <= 0xffff - 8 else { throw .tooLong("UDP payload") }
        var bytes: [UInt8] = []
        bytes.append(bigEndian: sourcePort)
        bytes.append(bigEndian: destinationPort)
        bytes.append(bigEndian: UInt16(8 + payload.count))
        bytes.append(bigEndian: UInt16(0))
        bytes.append(contentsOf: payload)
        let checksum = InternetChecksum.transport(
            bytes, protocolNumber: TransportProtocol.udp, source: source, destination: destination)
        // Zero on the wire means that there is no checksum; its other representation stands for zero.
        let wire = checksum == 0 ? 0xffff : checksum
        bytes[6] = UInt8(wire >> 8)
        bytes[7] = UInt8(wire & 0xff)
        return bytes
    }
}
