import Packets
import Testing

@Suite struct MarkerTests {
    let marker = Marker(kind: .cut, epoch: 0x0102_0304_0506_0708, nicIndex: 3, sender: "häs", receiver: "b")
    let tag = (0..<16).map { UInt8($0) }
    let source = HardwareAddress(rawValue: 0x5254_0000_0001)
    let destination = HardwareAddress(rawValue: 0x5254_0000_0002)

    @Test func layout() throws {
        let body = try marker.body()
        #expect(body == Array("HFMK".utf8) + [2, 2, 1, 2, 3, 4, 5, 6, 7, 8, 3, 4] + Array("häs".utf8) + [1, 0x62])
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

    @Test(arguments: [(Marker.Kind.flush, UInt8(0)), (.probe, 4), (.cut, 4)])
    func colourIsOfTheKind(kind: Marker.Kind, typeOfService: UInt8) throws {
        var marker = marker
        marker.kind = kind
        let frame = try marker.frame(tag: tag, source: source, destination: destination)
        #expect(try IPv4Packet(decoding: frame.dropFirst(14)).typeOfService == typeOfService)
        #expect(try Marker.decode(packet: frame.dropFirst(14)).marker.kind == kind)
        #expect(try marker.body()[5] == kind.rawValue)
    }

    @Test func unknownKindsAndFormerVersionsAreRefused() throws {
        func packet(version: UInt8, kind: UInt8) throws -> [UInt8] {
            var payload = try marker.body() + tag
            (payload[4], payload[5]) = (version, kind)
            let datagram = try UDPDatagram(sourcePort: 1, destinationPort: Marker.port, payload: payload[...])
                .encode(source: .v4(1), destination: .v4(2))
            return try IPv4Packet(source: 1, destination: 2, protocolNumber: 17, payload: datagram[...]).encode()
        }
        #expect(try Marker.decode(packet: packet(version: 2, kind: 2)[...]).marker == marker)
        #expect(throws: PacketError.notA("marker of a known kind")) {
            try Marker.decode(packet: packet(version: 2, kind: 3)[...])
        }
        #expect(throws: PacketError.version("marker", found: 1)) {
            try Marker.decode(packet: packet(version: 1, kind: 2)[...])
        }
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
        let long = Marker(
            kind: .flush, epoch: 1, nicIndex: 0, sender: String(repeating: "x", count: 256), receiver: "b")
        #expect(throws: PacketError.tooLong("member's name")) { try long.body() }
        #expect(throws: PacketError.length("marker's tag")) {
            try marker.frame(tag: [], source: source, destination: destination)
        }
    }
}
