import FoundationEssentials
import Glibc
import SnapshotProtocol
import SnapshotStore
import Testing

/// What exists when: a snapshot is there whole or not at all, wherever its taking or its deletion ends.
@Suite struct LifeCycleTests {
    private func isInvisible(_ id: String, in fixture: RepositoryFixture) throws -> Bool {
        func missing(_ body: () throws -> Void) -> Bool {
            do {
                try body()
                return false
            } catch {
                return error as? StoreError == .notFound(snapshot: id)
            }
        }
        let part = StoredPart(kind: "memory", path: "web/memory.img", size: 100_000, sha256: "")
        return try fixture.repository.list().isEmpty
            && missing { _ = try fixture.repository.manifest(id) }
            && missing { _ = try fixture.repository.verify(id) }
            && missing { _ = try fixture.repository.path(of: part, in: id) }
            && missing { _ = try fixture.repository.reader(of: part, in: id) }
            && missing { try fixture.repository.copy(part, of: id, to: fixture.folder + "/out") }
            && missing { try fixture.repository.delete(id) }
    }

    /// The places at which a manager or an agent can die while it takes a snapshot.
    enum Death: CaseIterable {
        case begun, writing, written, beforeManifest, manifestTemporary, manifestWritten
    }

    @Test(arguments: Death.allCases) func anEpochThatDiesLeavesNoSnapshotAndIsCollected(death: Death) throws {
        let fixture = try RepositoryFixture()
        let staged = fixture.root + "/staging/s1"
        switch death {
        case .begun: try fixture.repository.begin("s1")
        case .writing:
            try fixture.repository.begin("s1")
            // The writer of a process that was killed has no deinit: this is what it leaves.
            try fixture.write([1, 2], "s1", "web", "domain.xml", "domain")
            try fixture.overwrite(staged + "/web/.memory.img.5a", [1, 2, 3])
        case .written: try fixture.write([1, 2], fixture.begun("s1"), "web", "memory.img", "memory")
        case .beforeManifest: _ = try fixture.stage()
        case .manifestTemporary:
            _ = try fixture.stage()
            try fixture.overwrite(staged + "/.manifest.json.7", Array("{".utf8))
        case .manifestWritten:
            // A whole and valid manifest, but the renaming that seals did not come.
            try fixture.take()
            #expect(rename(fixture.root + "/snapshots/s1", staged) == 0)
        }
        #expect(try isInvisible("s1", in: fixture))
        #expect(try fixture.repository.collect(keeping: ["s1"]) == [])
        #expect(try fixture.names("staging") == ["s1"])
        #expect(try fixture.repository.collect(keeping: []) == ["s1"])
        #expect(try fixture.names("staging") == [])
        #expect(try fixture.names("trash") == [])
        // The name is free again.
        try fixture.take("s1", memory: 10)
        #expect(try fixture.repository.verify("s1").isWhole)
    }

    @Test func aWriterThatIsDroppedLeavesNothing() throws {
        let fixture = try RepositoryFixture()
        try fixture.repository.begin("s1")
        do {
            let writer = try fixture.repository.partWriter(
                snapshot: "s1", member: MemberName("web"), file: "memory.img", kind: "memory")
            try [UInt8](repeating: 1, count: 10).withUnsafeBytes { try writer.write($0) }
            #expect(writer.size == 10)
            #expect(try fixture.names("staging/s1/web").count == 1)
            #expect(try !fixture.names("staging/s1/web").contains("memory.img"))
        }
        #expect(try fixture.names("staging/s1/web") == [])

        let cancelled = try fixture.repository.partWriter(
            snapshot: "s1", member: MemberName("web"), file: "memory.img", kind: "memory")
        cancelled.cancel()
        cancelled.cancel()
        #expect(throws: StoreError.self) { try cancelled.finish() }
        #expect(try fixture.names("staging/s1/web") == [])
    }

    @Test func aPartIsNeverOverwritten() throws {
        let fixture = try RepositoryFixture()
        try fixture.repository.begin("s1")
        let part = try fixture.write([1, 2, 3], "s1", "web", "memory.img", "memory")
        #expect(throws: StoreError.alreadyExists("memory.img of web in snapshot s1")) {
            try fixture.write([4], "s1", "web", "memory.img", "memory")
        }
        #expect(part.size == 3)
        #expect(try fixture.contents(fixture.root + "/staging/s1/web/memory.img") == [1, 2, 3])
        #expect(try fixture.names("staging/s1/web") == ["memory.img"])
    }

    @Test func sealingSweepsWhatDeadWritersLeft() throws {
        let fixture = try RepositoryFixture()
        let manifest = try fixture.stage()
        try fixture.overwrite(fixture.root + "/staging/s1/web/.memory.img.5a", [1])
        try fixture.repository.seal(manifest)
        #expect(try fixture.names("snapshots/s1/web") == ["channel.pcap", "domain.xml", "memory.img"])
        #expect(try fixture.names("snapshots/s1") == ["Windows%2010%2F%C3%BC", "manifest.json", "web"])
    }

    @Test func sealingTwiceIsOneSeal() throws {
        let fixture = try RepositoryFixture()
        var manifest = try fixture.take()
        try fixture.repository.seal(manifest)
        manifest.cluster = "other"
        #expect(throws: StoreError.alreadyExists("Another snapshot s1")) { try fixture.repository.seal(manifest) }
        #expect(try fixture.repository.manifest("s1").cluster == "shop")
    }

    @Test func sealingChecksThePartsAndTheEvidence() throws {
        let fixture = try RepositoryFixture()
        let manifest = try fixture.stage()

        var missing = manifest
        missing.members[1].stored.parts.append(
            StoredPart(
                kind: "disk:vda", path: "Windows%2010%2F%C3%BC/disk.img", size: 1,
                sha256: String(repeating: "0", count: 64)))
        #expect(
            throws: StoreError.damaged(
                snapshot: "s1", member: MemberName("Windows 10/ü"), part: "Windows%2010%2F%C3%BC/disk.img",
                why: "It is missing.")
        ) { try fixture.repository.seal(missing) }

        var shorter = manifest
        shorter.members[0].stored.parts[0].size -= 1
        #expect(throws: StoreError.self) { try fixture.repository.seal(shorter) }

        func reasons(_ manifest: SnapshotManifest) throws -> [String] {
            do {
                try fixture.repository.seal(manifest)
                return []
            } catch StoreError.inconsistent(_, let reasons) {
                return reasons
            }
        }
        var broken = manifest
        broken.members[0].gate.unbroken = false
        #expect(try reasons(broken).count == 2)
        broken.verdict = Verdict.judge(broken.members, mode: broken.mode)
        #expect(try reasons(broken) == ["The gate of web did not hold from arm to release."])
        var bare = manifest
        bare.members[0].stored.parts.removeAll { $0.kind == "memory" }
        #expect(try reasons(bare) == ["Nothing of the kind memory was stored of web."])
        var skewed = manifest
        skewed.skew += 1
        #expect(try reasons(skewed) == ["The skew is not what the evidence says."])

        #expect(try fixture.repository.list().isEmpty)
        try fixture.repository.seal(manifest)
        #expect(try fixture.repository.list().count == 1)
    }

    @Test func discardingTouchesOnlyTheUnsealed() throws {
        let fixture = try RepositoryFixture()
        let manifest = try fixture.stage()
        #expect(try fixture.repository.discard("s1"))
        #expect(try !fixture.repository.discard("s1"))
        #expect(try fixture.names("staging") == [])
        #expect(throws: StoreError.notFound(snapshot: "s1")) { try fixture.repository.seal(manifest) }
        #expect(throws: StoreError.notFound(snapshot: "s1")) {
            try fixture.write([1], "s1", "web", "memory.img", "memory")
        }

        try fixture.take("s2")
        #expect(try !fixture.repository.discard("s2"))
        #expect(try fixture.repository.verify("s2").isWhole)
        #expect(try fixture.repository.collect(keeping: []) == [])
        #expect(try fixture.repository.verify("s2").isWhole)
    }

    @Test func aWriterOutlivedByItsEpochCannotFinish() throws {
        let fixture = try RepositoryFixture()
        try fixture.repository.begin("s1")
        let writer = try fixture.repository.partWriter(
            snapshot: "s1", member: MemberName("web"), file: "memory.img", kind: "memory")
        try fixture.repository.discard("s1")
        try [UInt8](repeating: 1, count: 10).withUnsafeBytes { try writer.write($0) }
        #expect(throws: StoreError.notFound(snapshot: "s1")) { try writer.finish() }
        #expect(try fixture.names("staging") == [])
        #expect(try fixture.names("trash") == [])
    }

    @Test func deletionIsWholeAndACutShortOneIsCollected() throws {
        let fixture = try RepositoryFixture()
        try fixture.take("s1")
        try fixture.take("s2")
        try fixture.repository.delete("s1")
        #expect(try fixture.names("snapshots") == ["s2"])
        #expect(try fixture.names("trash") == [])
        #expect(throws: StoreError.notFound(snapshot: "s1")) { try fixture.repository.delete("s1") }

        // Power went after the renaming and in the middle of the removal.
        #expect(rename(fixture.root + "/snapshots/s2", fixture.root + "/trash/.s2.1") == 0)
        #expect(unlink(fixture.root + "/trash/.s2.1/web/memory.img") == 0)
        #expect(try fixture.repository.list().isEmpty)
        #expect(try fixture.repository.collect(keeping: ["s2"]) == [])
        #expect(try fixture.names("trash") == [])
    }

    @Test func withoutItsManifestASnapshotDoesNotExist() throws {
        let fixture = try RepositoryFixture()
        try fixture.take()
        #expect(unlink(fixture.sealedPath("s1", "manifest.json")) == 0)
        #expect(try isInvisible("s1", in: fixture))
        #expect(try fixture.repository.collect(keeping: []) == ["s1"])
        #expect(try fixture.names("snapshots") == [])
    }

    // MARK: - At the same time

    @Test func ofManyWhoBeginTheSameSnapshotOneDoes() async throws {
        let fixture = try RepositoryFixture()
        let winners = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<32 {
                group.addTask {
                    do {
                        try fixture.repository.begin("s1")
                        return true
                    } catch {
                        #expect(error as? StoreError == .alreadyExists("An unfinished snapshot s1"))
                        return false
                    }
                }
            }
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(winners == 1)
        try fixture.repository.discard("s1")
        try fixture.take("s1")
        #expect(throws: StoreError.alreadyExists("Snapshot s1")) { try fixture.repository.begin("s1") }
        #expect(try fixture.names("staging") == [])
    }

    @Test func listingWhileSnapshotsComeAndGoSeesOnlyWholeOnes() async throws {
        let fixture = try RepositoryFixture()
        try fixture.take("stays", memory: 10)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<2 {
                group.addTask {
                    for _ in 0..<25 {
                        try fixture.take("goes-\(worker)", memory: 10)
                        try fixture.repository.delete("goes-\(worker)")
                    }
                }
            }
            group.addTask {
                for _ in 0..<200 {
                    let listing = try fixture.repository.list()
                    #expect(listing.contains { $0.id == "stays" })
                    for item in listing { _ = try item.manifest.get() }
                }
            }
            try await group.waitForAll()
        }
        #expect(try fixture.names("trash") == [])
    }

    @Test func sealAndDiscardAtOnceHaveOneWinner() async throws {
        let fixture = try RepositoryFixture()
        for _ in 0..<20 {
            let manifest = try fixture.stage("s1", memory: 10)
            async let sealed = Task.detached { (try? fixture.repository.seal(manifest)) != nil }.value
            async let discarded = Task.detached { (try? fixture.repository.discard("s1")) == true }.value
            let (won, lost) = await (sealed, discarded)
            #expect(won != lost)
            #expect(try fixture.repository.list().count == (won ? 1 : 0))
            if won {
                #expect(try fixture.repository.verify("s1").isWhole)
                try fixture.repository.delete("s1")
            }
        }
    }
}

extension RepositoryFixture {
    fileprivate func begun(_ id: String) throws -> String {
        try repository.begin(id)
        return id
    }
}
