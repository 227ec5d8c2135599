import FoundationEssentials
import Glibc
import SnapshotProtocol
import SnapshotStore

/// A repository of its own in a temporary folder, which goes with it, and snapshots to put into it.
final class RepositoryFixture: Sendable {
    /// The temporary folder; the repository is `repository` in it.
    let folder: String
    let repository: DirectoryRepository

    init() throws {
        var template = Array("/tmp/holdfast-store-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw StoreError.io(path: "/tmp", why: "mkdtemp") }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        try DirectoryRepository.create(at: folder + "/repository")
        repository = try DirectoryRepository(opening: folder + "/repository")
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// Bytes that follow from the seed and hold no long run of anything.
    static func bytes(_ count: Int, seed: UInt64) -> [UInt8] {
        var state = seed &+ 0x9E37_79B9_7F4A_7C15
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 33)
        }
    }

    /// A capture file with packets of the given sizes.
    static func capture(_ sizes: [Int], bigEndian: Bool = false) -> [UInt8] {
        func word(_ value: UInt32) -> [UInt8] {
            let bytes = (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
            return bigEndian ? bytes.reversed() : bytes
        }
        var file = word(0xA1B2_3C4D) + (bigEndian ? [0, 2, 0, 4] : [2, 0, 4, 0])
        file += word(0) + word(0) + word(262_144) + word(1)
        for (index, size) in sizes.enumerated() {
            file += word(UInt32(index)) + word(7) + word(UInt32(size)) + word(UInt32(size))
            file += bytes(size, seed: UInt64(index))
        }
        return file
    }

    @discardableResult
    func write(
        _ bytes: [UInt8], _ snapshot: String, _ member: String, _ file: String, _ kind: String
    ) throws -> StoredPart {
        let writer = try repository.partWriter(
            snapshot: snapshot, member: MemberName(member), file: file, kind: kind)
        try bytes.withUnsafeBytes { whole in
            // Pieces of odd sizes, as a stream brings them.
            var rest = whole[...]
            while !rest.isEmpty {
                try writer.write(UnsafeRawBufferPointer(rebasing: rest.prefix(7919)))
                rest = rest.dropFirst(7919)
            }
        }
        return try writer.finish()
    }

    /// Writes all parts of a snapshot of two members, not sealed yet.
    func stage(_ id: String = "s1", memory: Int = 100_000) throws -> SnapshotManifest {
        try repository.begin(id)
        var members: [MemberEvidence] = []
        for (index, name) in ["web", "Windows 10/ü"].enumerated() {
            let parts = [
                try write(Self.bytes(memory, seed: UInt64(index)), id, name, "memory.img", "memory"),
                try write(Array("<domain><name>\(name)</name></domain>".utf8), id, name, "domain.xml", "domain"),
                try write(Self.capture([60, 1514, 0]), id, name, "channel.pcap", "channel-log"),
            ]
            members.append(Self.evidence(name, at: 1_000 + UInt64(index) * 250, parts: parts, logged: 3))
        }
        return SnapshotManifest(
            id: id, cluster: "shop", epoch: Epoch(7), mode: .hold, createdAt: 1_700_000_000_000_000_001,
            members: members)
    }

    /// Takes a whole snapshot.
    @discardableResult
    func take(_ id: String = "s1", memory: Int = 100_000) throws -> SnapshotManifest {
        let manifest = try stage(id, memory: memory)
        try repository.seal(manifest)
        return manifest
    }

    static func evidence(_ name: String, at: UInt64, parts: [StoredPart], logged: UInt64) -> MemberEvidence {
        let name = MemberName(name)
        return MemberEvidence(
            member: PlannedMember(
                name: name, host: HostName("desk1"), machine: "6d1f8f6e-0000-4000-8000-000000000001",
                nics: [MemberNIC(mac: "52:54:00:00:00:01")]),
            cut: MemberCut(
                member: name, armedAt: at - 500, cutStartedAt: at, cutEndedAt: at + 20, pause: 20, method: "background"),
            gate: GateAttestation(
                member: name, held: 5, heldBeforeCut: 3, logged: logged, releasedAt: at + 100, holdTime: 600),
            stored: StoredMember(
                member: name, parts: parts, savedAt: .max, requirements: ["hypervisor": "libvirt", "cpu": "max"]))
    }

    // MARK: - What is on the disk

    var root: String { folder + "/repository" }

    func sealedPath(_ snapshot: String, _ part: String) -> String { "\(root)/snapshots/\(snapshot)/\(part)" }

    func contents(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: path))) }

    func overwrite(_ path: String, _ bytes: [UInt8]) throws { try Data(bytes).write(to: URL(filePath: path)) }

    func names(_ room: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: root + "/" + room).sorted()
    }
}
