import Packets

@testable import SnapshotStore

enum CaptureSubject {
    static func run(_ bytes: [UInt8]) throws {
        let records = try? PcapFile.decode(bytes)
        var counter = ChannelLogCounter()
        // In two pieces: what is counted must not hang on how the bytes come.
        let half = bytes.count / 3
        bytes.withUnsafeBytes { all in
            counter.consume(.init(rebasing: all[..<half]))
            counter.consume(.init(rebasing: all[half...]))
        }
        counter.finish()
        try Broken.unless(
            (counter.flaw == nil) == (records != nil),
            "The store \(counter.flaw ?? "believes") what the agent \(records == nil ? "refuses" : "reads").")
        guard let records else { return }
        try Broken.unless(counter.packets == UInt64(records.count), "The store counts other packets than there are.")
        let again = try PcapFile.decode(PcapFile.encode(records))
        try Broken.unless(again == records, "It is written otherwise than read.")
    }
}
