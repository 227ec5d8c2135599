import Crypto
import FoundationEssentials
import Glibc
import Packets
import SnapshotProtocol

@testable import HostAgent
@testable import SnapshotStore

/// The pieces are the files of a snapshot's one member, as they lie in a repository: channel log, description, image.
/// A fourth one takes the place of the manifest that fits them.
enum StoreSubject {
    private static let member = MemberName("a")
    private static let kinds = [("channel-log", "channel.pcap"), ("domain", "domain.xml"), ("memory", "memory.img")]

    private static let repository: DirectoryRepository? = {
        let path = ScratchFolder.path + "/repository"
        let folder = path + "/snapshots/s/a"
        guard (try? DirectoryRepository.create(at: path)) != nil,
            (try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)) != nil
        else { return nil }
        return try? DirectoryRepository(opening: path)
    }()

    static func run(_ bytes: [UInt8]) throws {
        guard let repository else { throw Broken(description: "There is no room for a repository.") }
        let pieces = Array(Pieces(bytes))
        let files = kinds.indices.map { $0 < pieces.count ? pieces[$0] : [] }
        let parts = zip(kinds, files).map { kind, bytes in
            StoredPart(
                kind: kind.0, path: "a/\(kind.1)", size: UInt64(bytes.count),
                sha256: SHA256Hex.of(SHA256.hash(data: bytes)))
        }
        for (kind, bytes) in zip(kinds, files) {
            _ = try ScratchFolder.write(bytes, to: "repository/snapshots/s/a/\(kind.1)")
        }
        let packets = try? PcapFile.decode(files[0])
        let fitting = manifest(parts, logged: UInt64(packets?.count ?? 0))
        let written = pieces.count > 3 ? ManifestSubject.sealed(pieces[3]) : try ManifestFile.encode(fitting)
        _ = try ScratchFolder.write(written, to: "repository/snapshots/s/manifest.json")
        guard let report = try? repository.verify("s") else {
            return try Broken.unless(pieces.count > 3, "A manifest that fits is refused.")
        }
        if pieces.count <= 3 {
            try Broken.unless(
                report.isWhole == (packets != nil), "Verified otherwise than read: \(report.problems).")
        }
        guard report.isWhole, let stored = try? repository.manifest("s") else { return }
        for part in stored.members.flatMap(\.stored.parts) { try read(part, in: repository) }
        _ = try ChannelLogs(plan: plan(stored), repository: repository).frames(for: member, mac: "")
    }

    private static func manifest(_ parts: [StoredPart], logged: UInt64) -> SnapshotManifest {
        SnapshotManifest(
            id: "s", cluster: "c", epoch: Epoch(1), mode: .hold, createdAt: 1,
            members: [
                MemberEvidence(
                    member: PlannedMember(name: member, host: HostName("h"), machine: "uuid", nics: []),
                    cut: MemberCut(
                        member: member, armedAt: 1, cutStartedAt: 2, cutEndedAt: 3, pause: 1, method: "background"),
                    gate: GateAttestation(member: member, logged: logged, releasedAt: 4),
                    stored: StoredMember(member: member, parts: parts, savedAt: 5, requirements: [:]))
            ])
    }

    private static func plan(_ manifest: SnapshotManifest) -> RestorePlan {
        RestorePlan(
            snapshot: "s", cluster: "c",
            members: manifest.members.map {
                RestoredMember(
                    name: $0.member.name, host: $0.member.host, machine: $0.member.machine, nics: $0.member.nics,
                    parts: $0.stored.parts, requirements: [:])
            }, replaceRunning: false, replayLogs: true)
    }

    /// What was verified can be read and copied.
    private static func read(_ part: StoredPart, in repository: DirectoryRepository) throws {
        let reader = try repository.reader(of: part, in: "s")
        var size: UInt64 = 0
        try reader.drain { piece throws(StoreError) in size += UInt64(piece.count) }
        try Broken.unless(size == part.size, "\(part.path) is read otherwise than verified.")
        let copy = ScratchFolder.path + "/copy"
        try repository.copy(part, of: "s", to: copy)
        let bytes = FileManager.default.contents(atPath: copy) ?? Data()
        try Broken.unless(
            SHA256Hex.of(SHA256.hash(data: bytes)) == part.sha256, "\(part.path) is copied otherwise than read.")
    }
}
