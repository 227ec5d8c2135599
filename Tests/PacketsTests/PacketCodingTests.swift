import Packets
import Testing

@Suite struct PacketCodingTests {
    static let source = IPAddress.v6(0xfd00_0000_0000_0000, 1)
    static let destination = IPAddress.v6(0xfd00_0000_0000_0000, 2)

    @Test("The checksum of the worked example in RFC 1071")
    func checksumOfTheRFC() {
        #expect(InternetChecksum.of([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]) == ~0xddf2)
        var pieces = InternetChecksum()
        pieces.add([0x00])
        pieces.add([0x01, 0xf2, 0x03, 0xf4])
        pieces.add([0xf5, 0xf6, 0xf7])
        #expect(pieces.value == ~0xddf2)
        #expect(InternetChecksum.of([0x12]) == ~0x1200)
    }

    @Test("An IPv4 header as it was seen on a wire")
    func decodesKnownIPv4() throws {
        let header: [UInt8] = [
            0x45, 0x00, 0x00, 0x1c, 0x1c, 0x46, 0x40, 0x00, 0x40, 0x11, 0, 0, 0xac, 0x10, 0x0a, 0x63, 0xac, 0x10, 0x0a,
            0x0c,
        ]
        var bytes = header
        let checksum = InternetChecksum.of(header)
        bytes[10] = UInt8(checksum >> 8)
        bytes[11] = UInt8(checksum & 0xff)
        bytes += [0x0f, 0xa0, 0x13, 0x88, 0x00, 0x08, 0x00, 0x00, 0xee, 0xee]
        let packet = try IPv4Packet(decoding: bytes[...])
        #expect(packet.timeToLive == 64)
        #expect(packet.protocolNumber == TransportProtocol.udp)
        #expect(IPAddress.v4(packet.source).description == "172.16.10.99")
        #expect(!packet.isFragment)
        // Two octets of Ethernet padding are no part of it.
        #expect(packet.payload.count == 8)
        let datagram = try UDPDatagram(decoding: packet.payload)
        #expect(datagram.sourcePort == 4_000 && datagram.destinationPort == 5_000 && datagram.payload.isEmpty)
        #expect(try packet.encode() == Array(bytes.dropLast(2)))
    }

    @Test func roundTripsIPv4WithOptions() throws {
        let packet = IPv4Packet(
            source: 1, destination: 2, protocolNumber: 6, payload: [1, 2, 3], timeToLive: 3, typeOfService: 4,
            identification: 5, flagsAndOffset: 0x2001, options: [1, 1, 1, 0])
        #expect(try IPv4Packet(decoding: packet.encode()[...]) == packet)
        #expect(packet.isFragment)
    }

    @Test func roundTripsTCP() throws {
        let segment = TCPSegment(
            sourcePort: 1, destinationPort: 2, sequence: 3, acknowledgement: 4, flags: [.syn, .ece],
            payload: [9, 8, 7],
            window: 5, urgentPointer: 6, options: [2, 4, 5, 0xb4])
        let bytes = try segment.encode(source: .v4(1), destination: .v4(2))
        #expect(try TCPSegment(decoding: bytes[...]) == segment)
        #expect(
            InternetChecksum.transport(
                bytes, protocolNumber: TransportProtocol.tcp, source: .v4(1), destination: .v4(2)) == 0)
    }

    @Test func roundTripsUDPAndICMPOverIPv6() throws {
        let datagram = UDPDatagram(sourcePort: 7, destinationPort: 8, payload: [1, 2, 3, 4, 5])
        let bytes = try datagram.encode(source: Self.source, destination: Self.destination)
        #expect(try UDPDatagram(decoding: bytes[...]) == datagram)
        let message = ICMPMessage(type: 128, code: 0, body: [0, 1, 0, 2])
        let encoded = message.encode(source: Self.source, destination: Self.destination)
        #expect(try ICMPMessage(decoding: encoded[...]) == message)
        for (bytes, number) in [(bytes, TransportProtocol.udp), (encoded, TransportProtocol.icmpv6)] {
            #expect(
                InternetChecksum.transport(
                    bytes, protocolNumber: number, source: Self.source, destination: Self.destination) == 0)
        }
        #expect(InternetChecksum.of(message.encoded) == 0)
    }

    @Test("A UDP checksum that comes out as zero is sent as its other representation")
    func neverSendsUDPWithoutChecksum() throws {
        // The payload is chosen so that everything sums up to ffff.
        let plain = try UDPDatagram(sourcePort: 0, destinationPort: 0, payload: [0, 0])
            .encode(source: .v4(0), destination: .v4(0))
        let datagram = UDPDatagram(sourcePort: 0, destinationPort: 0, payload: plain[6..<8])
        let bytes = try datagram.encode(source: .v4(0), destination: .v4(0))
        #expect(Array(bytes[6..<8]) == [0xff, 0xff])
    }

    @Test func walksOverExtensionHeaders() throws {
        let udp = try UDPDatagram(sourcePort: 1, destinationPort: 2, payload: [42])
            .encode(source: Self.source, destination: Self.destination)
        // Hop-by-hop, routing, destination options, authentication, fragment (first).
        let extensions: [UInt8] =
            [43, 0, 1, 4, 0, 0, 0, 0] + [60, 1] + [UInt8](repeating: 0, count: 14) + [51, 0, 1, 4, 0, 0, 0, 0]
            + [44, 1] + [UInt8](repeating: 0, count: 10) + [17, 0, 0, 1, 0, 0, 0, 7]
        let bytes = try IPv6Packet(
            source: Self.source, destination: Self.destination, protocolNumber: 0, payload: extensions[...] + udp
        ).encode()
        let packet = try IPv6Packet(decoding: bytes[...])
        #expect(packet.protocolNumber == TransportProtocol.udp)
        #expect(Array(packet.payload) == udp)
        #expect(!packet.isLaterFragment)
        #expect(packet.source == Self.source && packet.destination == Self.destination)
    }

    @Test func knowsLaterFragments() throws {
        let bytes = try IPv6Packet(
            source: Self.source, destination: Self.destination, protocolNumber: 44,
            payload: [17, 0, 0x01, 0x00, 0, 0, 0, 7, 1, 2, 3]
        ).encode()
        let packet = try IPv6Packet(decoding: bytes[...])
        #expect(packet.isLaterFragment)
        #expect(Array(packet.payload) == [1, 2, 3])
    }

    @Test func saysWhatIsWrong() throws {
        let good = try IPv4Packet(source: 1, destination: 2, protocolNumber: 17, payload: [1, 2]).encode()
        func changed(_ index: Int, _ value: UInt8) -> ArraySlice<UInt8> {
            var bytes = good
            bytes[index] = value
            return bytes[...]
        }
        #expect(throws: PacketError.version("IP header", found: 6)) { try IPv4Packet(decoding: changed(0, 0x65)) }
        #expect(throws: PacketError.length("IPv4 header")) { try IPv4Packet(decoding: changed(0, 0x44)) }
        #expect(throws: PacketError.checksum("IPv4 header")) { try IPv4Packet(decoding: changed(8, 1)) }
        #expect(throws: PacketError.truncated("IPv4 packet")) { try IPv4Packet(decoding: changed(3, 255)) }
        #expect(throws: PacketError.length("IPv4 header")) { try IPv4Packet(decoding: changed(3, 19)) }
        #expect(throws: PacketError.truncated("IPv4 packet")) { try IPv4Packet(decoding: good.dropLast()) }
        #expect(throws: PacketError.tooLong("IPv4 payload")) {
            try IPv4Packet(
                source: 1, destination: 2, protocolNumber: 17, payload: [UInt8](repeating: 0, count: 65_516)[...]
            ).encode()
        }
    }
}
