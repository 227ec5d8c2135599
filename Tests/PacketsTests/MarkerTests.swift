import Packets
import Testing

@Suite struct MarkerTests {
    let marker = Marker(epoch: 0x0102_0304_0506_0708, nicIndex: 3, sender: "häs", receiver: "b")
    let tag = (0..<16).map { UInt8($0) }
    let source = HardwareAddress(rawValue: 0x5254_0000_0001)
    let destination = HardwareAddress(rawValue: 0x5254_0000_0002)

    @Test func layout() throws {
        let body = try marker.body()
        #expect(body == Array("HFMK".utf8) + [1, 1, 2, 3, 4, 5, 6, 7, 8, 3, 4] + Array("häs".utf8) + [1, 0x62])
        let frame = try EthernetFrame(decoding: marker.frame(tag: tag, source: source, destination: destination)[...])
        #expect(frame.source == source && frame.destination == destination)
        let packet = try IPv4Packet(decoding: frame.payload)
        #expect(packet.timeToLive == 1)
        #expect(packet.source >> 16 == 0xa9fe && packet.destination >> 16 == 0xa9fe)
        let datagram = try UDPDatagram(decoding: packet.payload)
        #expect(datagram.destinationPort == Marker.port)
        #expect(Array(datagram.payload) == body + tag)
    }

    @Test func roundTrip() throws {
        let frame = try marker.frame(tag: tag, source: source, destination: destination)
        let decoded = try Marker.decode(packet: frame.dropFirst(14))
        #expect(decoded.marker == marker)
        #expect(Array(decoded.tag) == tag)
        #expect(try Array(decoded.body) == marker.body())
        #expect(Array(frame.dropFirst(14)).withUnsafeBytes { Marker.isCandidate(packet: $0) })
    }

    @Test func otherDatagramsAreNoCandidates() throws {
        for (port, payload) in [(Marker.port, "HFMX"), (Marker.port - 1, "HFMK"), (Marker.port, "HF")] {
            let datagram = try UDPDatagram(sourcePort: 1, destinationPort: port, payload: Array(payload.utf8)[...])
                .encode(source: .v4(1), destination: .v4(2))
            let packet = try IPv4Packet(source: 1, destination: 2, protocolNumber: 17, payload: datagram[...]).encode()
            #expect(!packet.withUnsafeBytes { Marker.isCandidate(packet: $0) })
            #expect(throws: PacketError.self) { try Marker.decode(packet: packet[...]) }
        }
    }

    @Test func refusesWhatDoesNotFit() {
        let long = Marker(epoch: 1, nicIndex: 0, sender: String(repeating: "x", count: 256), receiver: "b")
        #expect(throws: PacketError.tooLong("member's name")) { try long.body() }
        #expect(throws: PacketError.length("marker's tag")) {
            try marker.frame(tag: [], source: source, destination: destination)
        }
    }
}
