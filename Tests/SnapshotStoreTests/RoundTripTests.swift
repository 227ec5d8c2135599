import Crypto
import FoundationEssentials
import Glibc
import SnapshotProtocol
import SnapshotStore
import Testing

@Suite struct RoundTripTests {
    @Test func whatWasSealedIsReadBack() throws {
        let fixture = try RepositoryFixture()
        let manifest = try fixture.take()
        #expect(try fixture.repository.manifest("s1") == manifest)
        #expect(manifest.skew == 250)
        #expect(manifest.verdict == Verdict(consistent: true, logComplete: true, reasons: []))

        for (index, member) in manifest.members.enumerated() {
            let memory = try #require(member.stored.parts.first)
            let bytes = RepositoryFixture.bytes(100_000, seed: UInt64(index))
            // Against the library's one-shot digest, which the repository does not use.
            let digest = SHA256.hash(data: bytes).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            #expect(memory.sha256 == digest)
            #expect(memory.size == 100_000)
            let path = try fixture.repository.path(of: memory, in: "s1")
            #expect(try fixture.contents(path) == bytes)
        }
        let listing = try fixture.repository.list()
        #expect(listing.map(\.id) == ["s1"])
        #expect(try listing.first?.manifest.get() == manifest)

        let report = try fixture.repository.verify("s1")
        #expect(report.isWhole)
        #expect(report.parts == 6)
        #expect(report.bytes == manifest.size)
    }

    @Test func theManifestIsReadableAndItsChecksumCanBeRecomputedByHand() throws {
        let fixture = try RepositoryFixture()
        try fixture.take()
        let path = fixture.sealedPath("s1", "manifest.json")
        let text = String(decoding: try fixture.contents(path), as: UTF8.self)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines[1] == "  \"format\": \"holdfast-snapshot\",")
        #expect(lines[2] == "  \"version\": 1,")
        #expect(text.contains("\"cluster\" : \"shop\""))
        let digest = try #require(lines[3].split(separator: "\"").first { $0.count == 64 })
        let zeroed = text.replacing(digest, with: String(repeating: "0", count: 64))
        let expected = SHA256.hash(data: Array(zeroed.utf8)).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        #expect(expected.joined() == String(digest))
    }

    @Test func listsAreOldestFirst() throws {
        let fixture = try RepositoryFixture()
        for (id, time) in [("b", UInt64(2)), ("c", 1), ("a", 3)] {
            var manifest = try fixture.stage(id, memory: 10)
            manifest.createdAt = time
            try fixture.repository.seal(manifest)
        }
        #expect(try fixture.repository.list().map(\.id) == ["c", "b", "a"])
    }

    @Test func aFileOfAnotherProgramIsAdopted() throws {
        let fixture = try RepositoryFixture()
        try fixture.repository.begin("s1")
        let temporary = try fixture.repository.temporary(
            snapshot: "s1", member: MemberName("web"), file: "disk-vda.qcow2", kind: "disk:vda")
        let bytes = RepositoryFixture.bytes(3_000_000, seed: 3)
        try fixture.overwrite(temporary.path, bytes)
        let part = try fixture.repository.adopt(temporary)
        let reference = try fixture.write(bytes, "s1", "web", "same.img", "disk:vdb")
        #expect(part.sha256 == reference.sha256)
        #expect(part.size == 3_000_000)
        #expect(part.path == "web/disk-vda.qcow2")
        #expect(part.kind == "disk:vda")
        #expect(try fixture.names("staging/s1/web") == ["disk-vda.qcow2", "same.img"])
    }

    @Test func aNameThatWasGivenAlreadyToTheSameFileIsNoOther() throws {
        let fixture = try RepositoryFixture()
        try fixture.repository.begin("s1")
        let temporary = try fixture.repository.temporary(
            snapshot: "s1", member: MemberName("web"), file: "disk.img", kind: "disk:vda")
        try fixture.overwrite(temporary.path, [1, 2])
        // As after a lost answer of a file server.
        #expect(link(temporary.path, fixture.root + "/staging/s1/web/disk.img") == 0)
        #expect(try fixture.repository.adopt(temporary).size == 2)
        #expect(try fixture.names("staging/s1/web") == ["disk.img"])
    }

    @Test func adoptingNothingFailsAndLeavesNothing() throws {
        let fixture = try RepositoryFixture()
        try fixture.repository.begin("s1")
        let temporary = try fixture.repository.temporary(
            snapshot: "s1", member: MemberName("web"), file: "disk.img", kind: "disk:vda")
        #expect(throws: StoreError.self) { try fixture.repository.adopt(temporary) }
        try fixture.overwrite(temporary.path, [1])
        temporary.remove()
        #expect(try fixture.names("staging/s1/web") == [])
    }

    @Test(arguments: [0, 1, 65_535, 65_536, 65_537, 1 << 20, (1 << 20) + 1])
    func copiesAreExactAndSparse(size: Int) throws {
        let fixture = try RepositoryFixture()
        // Data, then a long hole, then data again, or a hole at the end.
        var bytes = [UInt8](repeating: 0, count: size)
        if size > 1 << 19 { bytes.replaceSubrange(0..<1000, with: RepositoryFixture.bytes(1000, seed: 1)) }
        if size % 2 == 1 { bytes[size - 1] = 9 }
        var manifest = try fixture.stage()
        let part = try fixture.write(bytes, "s1", "web", "disk-vda.img", "disk:vda")
        manifest.members[0].stored.parts.append(part)
        try fixture.repository.seal(manifest)

        let target = fixture.folder + "/disk.img"
        try fixture.overwrite(target, [1, 2, 3])
        try fixture.repository.copy(part, of: "s1", to: target)
        #expect(try fixture.contents(target) == bytes)
        var status = stat()
        #expect(stat(target, &status) == 0)
        if size >= 1 << 20 { #expect(Int(status.st_blocks) * 512 < size / 2) }
    }

    @Test func aDamagedPartIsNotCopied() throws {
        let fixture = try RepositoryFixture()
        let manifest = try fixture.take()
        let part = try #require(manifest.members[0].stored.parts.first)
        let path = try fixture.repository.path(of: part, in: "s1")
        var bytes = try fixture.contents(path)
        bytes[50_000] ^= 1
        try fixture.overwrite(path, bytes)

        let target = fixture.folder + "/restored"
        try fixture.overwrite(target, [7])
        #expect(throws: StoreError.self) { try fixture.repository.copy(part, of: "s1", to: target) }
        #expect(try fixture.contents(target) == [7])
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: fixture.folder).sorted() == ["repository", "restored"])

        let reader = try fixture.repository.reader(of: part, in: "s1")
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
        defer { buffer.deallocate() }
        #expect(throws: StoreError.self) { while try reader.read(into: buffer) > 0 {} }
    }

    @Test func freeSpaceIsThatOfTheFileSystem() throws {
        let fixture = try RepositoryFixture()
        var status = statvfs()
        #expect(statvfs(fixture.root, &status) == 0)
        let free = try fixture.repository.freeSpace()
        #expect(free > 0)
        #expect(free <= UInt64(status.f_blocks) * UInt64(status.f_frsize))
    }
}
