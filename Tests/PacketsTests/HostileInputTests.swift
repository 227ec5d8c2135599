import Packets
import Testing

/// No decoder may trap, whatever it is given: bytes come from guests and from files that anybody may have written.
@Suite struct HostileInputTests {
    /// SplitMix64: the same bytes on every machine for one seed.
    struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var mixed = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
            return mixed ^ (mixed >> 31)
        }
    }

    /// Everything that decodes, on one input.
    static func decodeAll(_ bytes: [UInt8]) {
        // A slice that does not begin at zero, as payloads do.
        let slice = ([0xff, 0xff, 0xff] + bytes).dropFirst(3)
        _ = try? EthernetFrame(decoding: slice)
        _ = try? IPv4Packet(decoding: slice)
        _ = try? IPv6Packet(decoding: slice)
        _ = try? TCPSegment(decoding: slice)
        _ = try? UDPDatagram(decoding: slice)
        _ = try? ICMPMessage(decoding: slice)
        _ = try? Marker.decode(packet: slice)
        _ = try? PcapFile.decode(bytes)
        _ = bytes.withUnsafeBytes { Marker.isCandidate(packet: $0) }
        _ = bytes.withUnsafeBytes { Colour.isSet(inPacket: $0) }
    }

    static func samples() throws -> [[UInt8]] {
        let marker = try Marker(kind: .probe, epoch: 7, nicIndex: 0, sender: "a", receiver: "b")
            .frame(tag: [UInt8](repeating: 1, count: 16), source: .broadcast, destination: .broadcast)
        let tcp = try TCPSegment(
            sourcePort: 1, destinationPort: 2, sequence: 3, acknowledgement: 4, flags: [], payload: [1],
            options: [1, 1, 1, 1]
        ).encode(source: .v4(1), destination: .v4(2))
        let ipv6 = try IPv6Packet(
            source: .v6(1, 1), destination: .v6(2, 2), protocolNumber: 0,
            payload: [44, 0, 0, 0, 0, 0, 0, 0, 51, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 0, 1, 2]
        ).encode()
        let file = try PcapFile.encode([PcapRecord(time: 5, frame: marker), PcapRecord(time: 6, frame: [])])
        return [marker, Array(marker.dropFirst(14)), tcp, ipv6, file]
    }

    @Test func truncatedEverywhere() throws {
        for sample in try Self.samples() {
            for length in 0...sample.count { Self.decodeAll(Array(sample.prefix(length))) }
        }
        // That the samples are what they should be, else the test shows nothing.
        #expect(try Marker.decode(packet: Self.samples()[1][...]).marker.epoch == 7)
        #expect(throws: PacketError.self) { try Marker.decode(packet: Self.samples()[1].dropLast()) }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func damagedAtRandom(seed: UInt64) throws {
        var generator = Generator(state: seed)
        let samples = try Self.samples()
        for _ in 0..<20_000 {
            var bytes = samples.randomElement(using: &generator) ?? []
            for _ in 0..<Int.random(in: 1...6, using: &generator) where !bytes.isEmpty {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            Self.decodeAll(bytes)
        }
        for _ in 0..<5_000 {
            let count = Int.random(in: 0...120, using: &generator)
            Self.decodeAll((0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) })
        }
    }
}
