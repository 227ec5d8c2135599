/// An Ethernet II frame without its check sequence.
package struct EthernetFrame: Hashable, Sendable {
    package enum EtherType {
        package static let ipv4: UInt16 = 0x0800
        package static let arp: UInt16 = 0x0806
        package static let ipv6: UInt16 = 0x86dd
    }

    package static let headerLength = 14

    package var destination: HardwareAddress
    package var source: HardwareAddress
    package var etherType: UInt16
    package var payload: ArraySlice<UInt8>

    package init(
        destination: HardwareAddress, source: HardwareAddress, etherType: UInt16, payload: ArraySlice<UInt8>
    ) {
        self.destination = destination
        self.source = source
        self.etherType = etherType
        self.payload = payload
    }

    package init(decoding bytes: ArraySlice<UInt8>) throws(PacketError) {
        var reader = ByteReader(bytes, part: "Ethernet header")
        guard let destination = HardwareAddress(octets: try reader.bytes(6)),
            let source = HardwareAddress(octets: try reader.bytes(6))
        else { throw .truncated("Ethernet header") }
        self.destination = destination
        self.source = source
        self.etherType = try reader.integer()
        self.payload = reader.remaining
    }

    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.headerLength + payload.count)
        bytes.append(contentsOf: destination.octets)
        bytes.append(contentsOf: source.octets)
        bytes.append(bigEndian: etherType)
        bytes.append(contentsOf: payload)
        return bytes
    }
}
