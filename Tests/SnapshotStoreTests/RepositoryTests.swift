import FoundationEssentials
import Glibc
import SnapshotProtocol
import SnapshotStore
import Testing

/// The directory itself: made, opened, refused; and the names within it.
@Suite struct RepositoryTests {
    private func isNotARepository(_ body: () throws -> Void) -> Bool {
        do {
            try body()
            return false
        } catch {
            if case .notARepository? = error as? StoreError { return true }
            return false
        }
    }

    @Test func makingIsIdempotentAndMakesParents() throws {
        let fixture = try RepositoryFixture()
        try fixture.take()
        try DirectoryRepository.create(at: fixture.root)
        #expect(try fixture.repository.list().count == 1)
        let deep = fixture.folder + "/a/b/c"
        try DirectoryRepository.create(at: deep + "/")
        _ = try DirectoryRepository(opening: deep)
        #expect(try FileManager.default.contentsOfDirectory(atPath: deep + "/staging") == [])
    }

    @Test func makingGoesOnWhereItWasCutShort() throws {
        let fixture = try RepositoryFixture()
        let path = fixture.folder + "/other"
        #expect(mkdir(path, 0o700) == 0 && mkdir(path + "/staging", 0o700) == 0)
        #expect(mkdir(path + "/lost+found", 0o700) == 0)
        try fixture.overwrite(path + "/.holdfast-repository.json.5", Array("{".utf8))
        #expect(isNotARepository { _ = try DirectoryRepository(opening: path) })
        try DirectoryRepository.create(at: path)
        _ = try DirectoryRepository(opening: path)
    }

    @Test func somebodysDirectoryIsRefusedAndUntouched() throws {
        let fixture = try RepositoryFixture()
        let path = fixture.folder + "/home"
        #expect(mkdir(path, 0o700) == 0)
        try fixture.overwrite(path + "/thesis.tex", [1])
        #expect(isNotARepository { try DirectoryRepository.create(at: path) })
        #expect(isNotARepository { _ = try DirectoryRepository(opening: path) })
        #expect(try FileManager.default.contentsOfDirectory(atPath: path) == ["thesis.tex"])
        #expect(isNotARepository { _ = try DirectoryRepository(opening: path + "/thesis.tex") })
        #expect(isNotARepository { _ = try DirectoryRepository(opening: fixture.folder + "/nowhere") })
        // A folder of ours, with something in it that is not ours.
        #expect(mkdir(fixture.folder + "/mixed", 0o700) == 0 && mkdir(fixture.folder + "/mixed/trash", 0o700) == 0)
        try fixture.overwrite(fixture.folder + "/mixed/trash/x", [1])
        #expect(isNotARepository { try DirectoryRepository.create(at: fixture.folder + "/mixed") })
    }

    @Test func otherVersionsAndDamagedMarkersAreRefused() throws {
        let fixture = try RepositoryFixture()
        let marker = fixture.root + "/holdfast-repository.json"
        try fixture.overwrite(marker, Array("{\"format\": \"holdfast-repository\", \"version\": 2}".utf8))
        let wrong = StoreError.repositoryVersion(path: fixture.root, found: 2, supported: 1)
        #expect(throws: wrong) { try DirectoryRepository(opening: fixture.root) }
        #expect(throws: wrong) { try DirectoryRepository.create(at: fixture.root) }
        for text in ["", "{", "[]", "{\"format\": \"x\", \"version\": 1}", String(repeating: "[", count: 4000)] {
            try fixture.overwrite(marker, Array(text.utf8))
            #expect(isNotARepository { _ = try DirectoryRepository(opening: fixture.root) }, "\(text.prefix(40))")
        }
    }

    @Test func anUnmountedRepositoryIsNotTakenForAnEmptyOne() throws {
        let fixture = try RepositoryFixture()
        try fixture.take()
        // What is left of a mount point.
        #expect(rename(fixture.root, fixture.root + ".away") == 0 && mkdir(fixture.root, 0o700) == 0)
        #expect(isNotARepository { _ = try fixture.repository.list() })
        #expect(isNotARepository { try fixture.repository.begin("s2") })
        #expect(isNotARepository { _ = try fixture.repository.collect(keeping: []) })
        #expect(isNotARepository { _ = try fixture.repository.manifest("s1") })
    }

    @Test(.enabled(if: getuid() == 0)) func aReadOnlyMountIsNotWritable() throws {
        let fixture = try RepositoryFixture()
        let manifest = try fixture.take()
        let view = fixture.folder + "/view"
        #expect(mkdir(view, 0o700) == 0)
        #expect(mount(fixture.root, view, nil, UInt(MS_BIND), nil) == 0)
        defer { #expect(umount2(view, Int32(MNT_DETACH)) == 0) }
        let flags = UInt(MS_BIND) | UInt(MS_REMOUNT) | UInt(MS_RDONLY)
        #expect(mount(nil, view, nil, flags, nil) == 0)

        func isNotWritable(_ body: () throws -> Void) -> Bool {
            do {
                try body()
                return false
            } catch {
                guard case .notWritable? = error as? StoreError else { return false }
                return (error as? StoreError)?.failure.code == .repositoryNotWritable
            }
        }
        #expect(isNotWritable { _ = try DirectoryRepository(opening: view) })
        let readable = try DirectoryRepository(opening: view, requireWritable: false)
        #expect(try readable.manifest("s1") == manifest)
        #expect(try readable.verify("s1").isWhole)
        #expect(isNotWritable { try readable.begin("s2") })
        #expect(isNotWritable { try readable.delete("s1") })
        #expect(isNotWritable { try DirectoryRepository.create(at: view + "/inner") })
        try DirectoryRepository.create(at: fixture.root)
    }

    @Test(.enabled(if: getuid() == 0)) func aFullFileSystemIsNoSpaceAndLeavesNothing() throws {
        let fixture = try RepositoryFixture()
        let small = fixture.folder + "/small"
        #expect(mkdir(small, 0o700) == 0)
        let mounted = "size=256k".withCString { mount("tmpfs", small, "tmpfs", 0, $0) }
        #expect(mounted == 0)
        defer { #expect(umount2(small, Int32(MNT_DETACH)) == 0) }
        try DirectoryRepository.create(at: small)
        let repository = try DirectoryRepository(opening: small)
        #expect(try repository.freeSpace() <= 256 << 10)
        try repository.begin("s1")
        let writer = try repository.partWriter(
            snapshot: "s1", member: MemberName("web"), file: "memory.img", kind: "memory")
        let bytes = RepositoryFixture.bytes(300 << 10, seed: 1)
        var found: StoreError?
        do {
            try bytes.withUnsafeBytes { try writer.write($0) }
        } catch {
            found = error as? StoreError
        }
        #expect(found?.failure.code == .noSpace)
        // A part with a hole is never finished, whatever the caller believes.
        #expect(throws: try #require(found)) { try writer.finish() }
        writer.cancel()
        #expect(try FileManager.default.contentsOfDirectory(atPath: small + "/staging/s1/web") == [])
    }

    @Test(arguments: ["", ".", "..", "../x", "a/b", "/etc", ".hidden", "a b", "a\u{0}b", "ü", "a\n", "-\u{7F}"])
    func aNameThatCouldLeadElsewhereIsRefused(name: String) throws {
        let fixture = try RepositoryFixture()
        func isInvalid(_ body: () throws -> Void) -> Bool {
            do {
                try body()
                return false
            } catch {
                if case .invalidName? = error as? StoreError { return true }
                return false
            }
        }
        #expect(isInvalid { try fixture.repository.begin(name) })
        #expect(isInvalid { try fixture.repository.discard(name) })
        #expect(isInvalid { try fixture.repository.delete(name) })
        #expect(isInvalid { _ = try fixture.repository.manifest(name) })
        #expect(isInvalid { _ = try fixture.repository.verify(name) })
        try fixture.repository.begin("s1")
        #expect(
            isInvalid {
                _ = try fixture.repository.partWriter(
                    snapshot: "s1", member: MemberName("web"), file: name, kind: "memory")
            })
        let part = StoredPart(kind: "memory", path: "web/" + name, size: 1, sha256: "")
        try fixture.repository.discard("s1")
        try fixture.take("s1", memory: 1)
        #expect(isInvalid { _ = try fixture.repository.path(of: part, in: "s1") })
    }

    @Test(arguments: ["web", "Windows 10 / Büro", "..", ".", "a/../../b", "100%", "%2E", "日本", ".x"])
    func aMemberMayBeCalledWhatItIs(name: String) throws {
        let fixture = try RepositoryFixture()
        try fixture.repository.begin("s1")
        let part = try fixture.write([1], "s1", name, "memory.img", "memory")
        let names = try fixture.names("staging/s1")
        #expect(names.count == 1)
        #expect(part.path == (names.first ?? "") + "/memory.img")
        #expect(try fixture.contents(fixture.root + "/staging/s1/" + part.path) == [1])
    }

    @Test(arguments: ["", "a\nb", "\u{1B}[2J", String(repeating: "a", count: 61), "manifest.json", "Manifest.JSON"])
    func aMemberMayNotBeCalledAnything(name: String) throws {
        let fixture = try RepositoryFixture()
        try fixture.repository.begin("s1")
        #expect(throws: StoreError.self) { try fixture.write([1], "s1", name, "memory.img", "memory") }
        #expect(try fixture.names("staging/s1") == [])
    }

    @Test func aPlantedLinkLeadsNowhere() throws {
        let fixture = try RepositoryFixture()
        let outside = fixture.folder + "/outside"
        #expect(mkdir(outside, 0o700) == 0)
        try fixture.overwrite(outside + "/keep", [1])
        try fixture.repository.begin("s1")
        #expect(symlink(outside, fixture.root + "/staging/s1/web") == 0)
        #expect(throws: StoreError.self) { try fixture.write([1], "s1", "web", "memory.img", "memory") }
        #expect(symlink(outside, fixture.root + "/snapshots/linked") == 0)
        #expect(throws: StoreError.notFound(snapshot: "linked")) { try fixture.repository.manifest("linked") }
        // Removing takes the link, not what it points to.
        #expect(try fixture.repository.collect(keeping: []) == ["s1"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: outside) == ["keep"])
    }

    @Test func messagesSayWhatToDo() {
        let errors: [StoreError] = [
            .notFound(snapshot: "s"), .notARepository(path: "/p", why: "It is no directory."),
            .notWritable(path: "/p", why: "Read-only file system"), .noSpace(path: "/p"), .alreadyExists("Snapshot s"),
            .damaged(snapshot: "s", member: MemberName("web"), part: "web/m", why: "It is missing."),
            .manifestVersion(snapshot: "s", found: 2, supported: 1),
            .repositoryVersion(path: "/p", found: 2, supported: 1), .invalidName("..", why: "Use letters."),
            .inconsistent(snapshot: "s", reasons: ["R."]), .io(path: "/p", why: "Input/output error"),
        ]
        let verbs = ["List", "Check", "Delete", "Choose", "Do not", "Use", "Take"]
        for error in errors {
            let advice = error.description
            #expect(verbs.contains { advice.contains($0) }, "\(advice)")
            #expect(advice.hasSuffix("."))
        }
        #expect(errors[5].failure.member == MemberName("web"))
        #expect(errors[5].description.contains("member web, part web/m"))
        #expect(Set(errors.map(\.failure.code)).count == 9)
    }
}
