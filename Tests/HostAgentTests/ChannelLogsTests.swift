import Foundation
import Packets
import SnapshotProtocol
import SnapshotStore
import Testing

@testable import HostAgent

@Suite("Which logged segments a restored member is given")
struct ChannelLogsTests {
    private static let macs = ["a": "52:54:00:00:00:0a", "b": "52:54:00:00:00:0b", "c": "52:54:00:00:00:0c"]

    private func frame(_ source: String, _ destination: String, _ tag: UInt8) -> [UInt8] {
        let mac = { (name: String) in HardwareAddress(Self.macs[name] ?? "ff:ff:ff:ff:ff:ff")!.octets }
        return mac(destination) + mac(source) + [0x08, 0x00, tag]
    }

    private func logs(_ contents: [String: [[UInt8]]], in root: String) throws -> ChannelLogs {
        try DirectoryRepository.create(at: root)
        let repository = try DirectoryRepository(opening: root)
        try repository.begin("s")
        var members: [RestoredMember] = []
        var evidence: [MemberEvidence] = []
        for name in contents.keys.sorted() {
            let member = MemberName(name)
            func part(_ file: String, _ kind: String, _ bytes: [UInt8]) throws -> StoredPart {
                let writer = try repository.partWriter(snapshot: "s", member: member, file: file, kind: kind)
                try bytes.withUnsafeBytes { try writer.write($0) }
                return try writer.finish()
            }
            let records = contents[name]!.enumerated().map { PcapRecord(time: UInt64($0.offset), frame: $0.element) }
            let parts = [
                try part("channel.pcap", "channel-log", try PcapFile.encode(records)),
                try part("memory.img", "memory", [1]), try part("domain.xml", "domain", [2]),
            ]
            let nics = [MemberNIC(mac: Self.macs[name]!)]
            members.append(
                RestoredMember(
                    name: member, host: HostName("h"), machine: name, nics: nics, parts: parts, requirements: [:]))
            evidence.append(
                MemberEvidence(
                    member: PlannedMember(name: member, host: HostName("h"), machine: name, nics: nics),
                    cut: MemberCut(
                        member: member, armedAt: 1, cutStartedAt: 2, cutEndedAt: 3, pause: 1, method: "background"),
                    gate: GateAttestation(member: member, logged: UInt64(records.count), releasedAt: 4, holdTime: 3),
                    stored: StoredMember(member: member, parts: parts, savedAt: 5, requirements: [:])))
        }
        try repository.seal(
            SnapshotManifest(id: "s", cluster: "c", epoch: Epoch(1), mode: .hold, createdAt: 1, members: evidence))
        let plan = RestorePlan(
            snapshot: "s", cluster: "c", members: members, replaceRunning: false, replayLogs: true)
        return try ChannelLogs(plan: plan, repository: repository)
    }

    @Test("First what was on the wire, then what the peers' gates held, each in order, and nothing twice")
    func order() throws {
        let root = NSTemporaryDirectory() + "holdfast-logs-\(UUID().uuidString)"
        let logs = try logs(
            [
                "a": [frame("a", "b", 1), frame("a", "c", 2), frame("a", "b", 3), frame("c", "a", 9)],
                "b": [frame("b", "a", 4), frame("c", "b", 5)],
                "c": [frame("c", "b", 6), frame("c", "*", 7)],
            ], in: root)
        func tags(_ name: String) -> [UInt8] {
            logs.frames(for: MemberName(name), mac: Self.macs[name]!).map { $0[14] }
        }
        #expect(tags("b") == [5, 1, 3, 6, 7])
        #expect(tags("a") == [9, 4, 7])
        // Not its own broadcast.
        #expect(tags("c") == [2])
        try FileManager.default.removeItem(atPath: root)
    }
}
