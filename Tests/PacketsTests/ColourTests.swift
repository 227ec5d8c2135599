import Packets
import Testing

@Suite struct ColourTests {
    private func isSet(_ packet: [UInt8]) -> Bool { packet.withUnsafeBytes { Colour.isSet(inPacket: $0) } }

    @Test(arguments: 0...UInt8.max)
    func isOneBitOfTheTrafficClass(trafficClass: UInt8) throws {
        let ipv4 = try IPv4Packet(
            source: 1, destination: 2, protocolNumber: 17, payload: [], typeOfService: trafficClass
        ).encode()
        let ipv6 = try IPv6Packet(
            source: .v6(1, 1), destination: .v6(2, 2), protocolNumber: 17, payload: [], trafficClass: trafficClass,
            flowLabel: 0xf_ffff
        ).encode()
        #expect(isSet(ipv4) == (trafficClass & 0x04 != 0))
        #expect(isSet(ipv6) == (trafficClass & 0x04 != 0))
    }

    @Test func nothingElseCarriesIt() {
        for bytes in [[], [0x45], [0x00, 0xff], [0x65], [0x75, 0xff]] as [[UInt8]] { #expect(!isSet(bytes)) }
    }
}
