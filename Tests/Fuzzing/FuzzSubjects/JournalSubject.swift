import FoundationEssentials
import Hypervisor
import SnapshotStore

@testable import HostAgent
@testable import LibvirtHypervisor
@testable import PacketGate

/// The files by which an agent puts right what a killed one left.
enum JournalSubject {
    static func run(_ bytes: [UInt8]) throws {
        if let journal = try again(CutJournal.self, bytes) {
            _ = journal.path(in: "/w")
        }
        _ = try again(RestoreJournal.self, bytes)
        try switches(bytes)
    }

    /// What is decoded is encoded so that the same is decoded again; nil if it is refused.
    private static func again<Journal: Codable>(_: Journal.Type, _ bytes: [UInt8]) throws -> Journal? {
        guard let journal = try? JSONDecoder().decode(Journal.self, from: Data(bytes)) else { return nil }
        let first = try JSONEncoder.stable.encode(journal)
        let second = try JSONEncoder.stable.encode(JSONDecoder().decode(Journal.self, from: first))
        try Broken.unless(first == second, "\(Journal.self) is written otherwise than read.")
        return journal
    }

    /// The bytes are what follows the line with the boot.
    private static func switches(_ bytes: [UInt8]) throws {
        _ = BridgeSwitches.former(in: String(decoding: bytes, as: UTF8.self))
        let former = BridgeSwitches.former(in: BridgeSwitches.boot + "\n" + String(decoding: bytes, as: UTF8.self))
        try Broken.unless(
            BridgeSwitches.former(in: BridgeSwitches.memory(of: former)) == former,
            "The memory of bridge switches is written otherwise than read.")
    }
}

extension JSONEncoder {
    fileprivate static var stable: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return encoder
    }
}
