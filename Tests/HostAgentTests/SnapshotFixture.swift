import Foundation
import Packets
import SnapshotProtocol
import SnapshotStore

@testable import HostAgent

/// A sealed snapshot in a repository of its own, with channel logs of the test's making.
struct SnapshotFixture {
    static let macs = ["a": "52:54:00:00:00:0a", "b": "52:54:00:00:00:0b", "c": "52:54:00:00:00:0c"]

    static func frame(_ source: String, _ destination: String, _ tag: UInt8) -> [UInt8] {
        let mac = { (name: String) in HardwareAddress(macs[name] ?? "ff:ff:ff:ff:ff:ff")!.octets }
        return mac(destination) + mac(source) + [0x08, 0x00, tag]
    }

    let plan: RestorePlan
    let repository: DirectoryRepository

    var logs: ChannelLogs { get throws { try ChannelLogs(plan: plan, repository: repository) } }

    init(_ contents: [String: [[UInt8]]], at root: String) throws {
        try DirectoryRepository.create(at: root)
        let repository = try DirectoryRepository(opening: root)
        self.repository = repository
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
                    name: member, host: HostName("h"), machine: "uuid-\(name)", nics: nics, parts: parts,
                    requirements: [:]))
            evidence.append(
                MemberEvidence(
                    member: PlannedMember(name: member, host: HostName("h"), machine: "uuid-\(name)", nics: nics),
                    cut: MemberCut(
                        member: member, armedAt: 1, cutStartedAt: 2, cutEndedAt: 3, pause: 1, method: "background"),
                    gate: GateAttestation(member: member, logged: UInt64(records.count), releasedAt: 4, holdTime: 3),
                    stored: StoredMember(member: member, parts: parts, savedAt: 5, requirements: [:])))
        }
        try repository.seal(
            SnapshotManifest(id: "s", cluster: "c", epoch: Epoch(1), mode: .hold, createdAt: 1, members: evidence))
        plan = RestorePlan(
            snapshot: "s", cluster: "c", members: members, replaceRunning: false, replayLogs: true)
    }
}
