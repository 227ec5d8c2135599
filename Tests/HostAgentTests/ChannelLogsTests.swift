import Foundation
import Packets
import SnapshotProtocol
import SnapshotStore
import Testing

@testable import HostAgent

@Suite("Which logged segments a restored member is given")
struct ChannelLogsTests {
    @Test("First what was on the wire, then what the peers' gates held, each in order, and nothing twice")
    func order() throws {
        let root = NSTemporaryDirectory() + "holdfast-logs-\(UUID().uuidString)"
        let logs = try SnapshotFixture(
            [
                "a": [
                    SnapshotFixture.frame("a", "b", 1), SnapshotFixture.frame("a", "c", 2),
                    SnapshotFixture.frame("a", "b", 3), SnapshotFixture.frame("c", "a", 9),
                ],
                "b": [SnapshotFixture.frame("b", "a", 4), SnapshotFixture.frame("c", "b", 5)],
                "c": [SnapshotFixture.frame("c", "b", 6), SnapshotFixture.frame("c", "*", 7)],
            ], at: root
        ).logs
        func tags(_ name: String) -> [UInt8] {
            logs.frames(for: MemberName(name), mac: SnapshotFixture.macs[name]!).map { $0[14] }
        }
        #expect(tags("b") == [5, 1, 3, 6, 7])
        #expect(tags("a") == [9, 4, 7])
        // Not its own broadcast.
        #expect(tags("c") == [2])
        try FileManager.default.removeItem(atPath: root)
    }
}
