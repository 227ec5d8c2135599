import Packets
import Testing

@Suite struct PcapFileTests {
    let records = [
        PcapRecord(time: 1_700_000_000_123_456_789, frame: [1, 2, 3]),
        PcapRecord(time: 1_700_000_001_000_000_000, frame: []),
    ]

    @Test("The header's octets, as the format's specification has them")
    func header() throws {
        let bytes = try PcapFile.encode([])
        #expect(
            bytes == [
                0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0,
            ])
        #expect(try PcapFile.decode(bytes) == [])
    }

    @Test func roundTrip() throws { #expect(try PcapFile.decode(PcapFile.encode(records)) == records) }

    @Test func readsMicrosecondsAndTheOtherByteOrder() throws {
        let file: [UInt8] = [
            0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0,
            0, 8,
            0, 0, 0, 1, 0, 0, 0, 60, 0xaa,
        ]
        let records = try PcapFile.decode(file)
        #expect(records.map(\.time) == [9_000_008_000])
        #expect(records.map(\.frame) == [[0xaa]])
        #expect(records.map(\.originalLength) == [60])
    }

    @Test func refusesOthers() throws {
        let good = try PcapFile.encode(records)
        #expect(throws: PacketError.notA("capture file")) { try PcapFile.decode([UInt8](repeating: 0, count: 24)) }
        #expect(throws: PacketError.truncated("capture record")) { try PcapFile.decode(good.dropLast()) }
        #expect(throws: PacketError.truncated("capture file's header")) { try PcapFile.decode(Array(good.prefix(20))) }
        var other = good
        other[20] = 101
        #expect(throws: PacketError.notA("capture of Ethernet frames")) { try PcapFile.decode(other) }
        other = good
        other[4] = 3
        #expect(throws: PacketError.version("capture file", found: 3)) { try PcapFile.decode(other) }
        other = good
        other[24 + 4 + 3] = 0xff
        #expect(throws: PacketError.length("capture record")) { try PcapFile.decode(other) }
    }
}
