import Packets
import Testing

@testable import SnapshotStore

@Suite struct ChannelLogCounterTests {
    /// Packets, or nil where the file is none, read in pieces of `piece` bytes.
    private func count(_ file: [UInt8], piece: Int) -> UInt64? {
        var counter = ChannelLogCounter()
        file.withUnsafeBytes { whole in
            var rest = whole[...]
            while !rest.isEmpty {
                counter.consume(UnsafeRawBufferPointer(rebasing: rest.prefix(piece)))
                rest = rest.dropFirst(piece)
            }
        }
        counter.finish()
        return counter.flaw == nil ? counter.packets : nil
    }

    @Test(arguments: [1, 3, 16, 24, 1000]) func agreesWithTheDecoder(piece: Int) throws {
        let records = [60, 1514, 0, 1].map {
            PcapRecord(time: 1_700_000_000_999_999_999, frame: .init(repeating: 7, count: $0))
        }
        let file = try PcapFile.encode(records)
        #expect(count(file, piece: piece) == 4)
        #expect(count(try PcapFile.encode([]), piece: piece) == 0)
        #expect(count(RepositoryFixture.capture([60, 0, 70], bigEndian: true), piece: piece) == 3)
        for length in file.indices {
            let cut = Array(file.prefix(length))
            #expect(
                count(cut, piece: piece) == (try? PcapFile.decode(cut)).map { UInt64($0.count) }, "length \(length)")
        }
        // Every bit of both headers, and of the lengths and times within.
        for bit in 0..<(24 + 16 + 60 + 16) * 8 {
            var damaged = file
            damaged[bit / 8] ^= 1 << (bit % 8)
            #expect(
                count(damaged, piece: piece) == (try? PcapFile.decode(damaged)).map { UInt64($0.count) }, "bit \(bit)")
        }
    }
}
