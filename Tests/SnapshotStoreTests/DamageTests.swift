import Crypto
import FoundationEssentials
import Glibc
import SnapshotProtocol
import SnapshotStore
import Testing

/// Every damage is found and named, none crashes, none passes for a snapshot.
@Suite struct DamageTests {
    enum PartDamage: CaseIterable {
        case firstBit, lastBit, oneShorter, oneLonger, empty, missing, folder, link, pipe
    }

    @Test(arguments: PartDamage.allCases, ["memory.img", "domain.xml", "channel.pcap"])
    func aDamagedPartIsNamed(damage: PartDamage, file: String) throws {
        let fixture = try RepositoryFixture()
        try fixture.take()
        let path = fixture.sealedPath("s1", "web/" + file)
        var bytes = try fixture.contents(path)
        func replace(_ make: () -> Int32) {
            #expect(unlink(path) == 0)
            #expect(make() == 0)
        }
        switch damage {
        case .firstBit: bytes[0] ^= 0x80
        case .lastBit: bytes[bytes.count - 1] ^= 1
        case .oneShorter: bytes.removeLast()
        case .oneLonger: bytes.append(0)
        case .empty: bytes = []
        case .missing: replace { 0 }
        case .folder: replace { mkdir(path, 0o700) }
        case .link:
            // To the right bytes, but not within the repository.
            try fixture.overwrite(fixture.folder + "/outside", bytes)
            replace { symlink(fixture.folder + "/outside", path) }
        case .pipe: replace { mkfifo(path, 0o600) }
        }
        if ![.missing, .folder, .link, .pipe].contains(damage) { try fixture.overwrite(path, bytes) }

        let report = try fixture.repository.verify("s1")
        #expect(!report.isWhole)
        #expect(report.problems.contains { $0.member == MemberName("web") && $0.part == "web/" + file })
        #expect(report.problems.allSatisfy { $0.member == MemberName("web") && $0.part == "web/" + file })
        // It is still there, to be looked at and deleted.
        #expect(try fixture.repository.list().count == 1)
        try fixture.repository.delete("s1")
        #expect(try fixture.repository.list().isEmpty)
        #expect(try fixture.names("trash") == [])
    }

    @Test func everyFlippedBitOfASmallPartIsFound() throws {
        let fixture = try RepositoryFixture()
        try fixture.take("s1", memory: 16)
        let path = fixture.sealedPath("s1", "web/memory.img")
        let bytes = try fixture.contents(path)
        for bit in 0..<bytes.count * 8 {
            var damaged = bytes
            damaged[bit / 8] ^= 1 << (bit % 8)
            try fixture.overwrite(path, damaged)
            #expect(try fixture.repository.verify("s1").problems.map(\.part) == ["web/memory.img"], "bit \(bit)")
        }
    }

    @Test func swappedPartsAreBothNamed() throws {
        let fixture = try RepositoryFixture()
        try fixture.take()
        let one = fixture.sealedPath("s1", "web/memory.img")
        let other = fixture.sealedPath("s1", "Windows%2010%2F%C3%BC/memory.img")
        #expect(rename(one, one + ".x") == 0)
        #expect(rename(other, one) == 0)
        #expect(rename(one + ".x", other) == 0)
        let report = try fixture.repository.verify("s1")
        #expect(report.problems.map(\.member) == [MemberName("web"), MemberName("Windows 10/ü")])
        #expect(report.bytes == (try fixture.repository.manifest("s1").size))
    }

    @Test func aLogThatDoesNotFitTheEvidenceIsFound() throws {
        let fixture = try RepositoryFixture()
        func problems(_ id: String, log: [UInt8], logged: UInt64) throws -> [String] {
            try fixture.repository.begin(id)
            let parts = [
                try fixture.write([1], id, "web", "memory.img", "memory"),
                try fixture.write([1], id, "web", "domain.xml", "domain"),
                try fixture.write(log, id, "web", "channel.pcap", "channel-log"),
            ]
            let evidence = RepositoryFixture.evidence("web", at: 9_000, parts: parts, logged: logged)
            try fixture.repository.seal(
                SnapshotManifest(
                    id: id, cluster: "c", epoch: Epoch(1), mode: .hold, createdAt: 1, members: [evidence]))
            return try fixture.repository.verify(id).problems.map(\.description)
        }
        let log = RepositoryFixture.capture([60, 70, 80])
        #expect(try problems("right", log: log, logged: 3) == [])
        #expect(try problems("turned", log: RepositoryFixture.capture([60, 70], bigEndian: true), logged: 2) == [])
        #expect(try problems("none", log: RepositoryFixture.capture([]), logged: 0) == [])
        #expect(
            try problems("fewer", log: log, logged: 4) == [
                "web: Its channel log holds 3 segments, and 4 were recorded."
            ])
        #expect(
            try problems("cut", log: log.dropLast(1), logged: 3) == [
                "web, web/channel.pcap: It is no capture file. It ends within packet 3."
            ])
        #expect(try problems("header", log: Array(log.prefix(30)), logged: 0).count == 1)
        #expect(try problems("noise", log: RepositoryFixture.bytes(100, seed: 1), logged: 0).count == 1)
        var absurd = log
        absurd.replaceSubrange(32..<36, with: [0xFF, 0xFF, 0xFF, 0xFF])
        #expect(try problems("absurd", log: absurd, logged: 3).count == 1)
    }

    // MARK: - The manifest

    private func damage(_ fixture: RepositoryFixture, _ bytes: [UInt8]) throws -> StoreError? {
        try fixture.overwrite(fixture.sealedPath("s1", "manifest.json"), bytes)
        let listing = try fixture.repository.list()
        #expect(listing.map(\.id) == ["s1"])
        var found: StoreError?
        do {
            _ = try fixture.repository.manifest("s1")
        } catch {
            found = error
        }
        // The list says the same.
        if case .failure(let listed)? = listing.first?.manifest {
            #expect(listed == found)
        } else {
            #expect(found == nil)
        }
        if found != nil { #expect(throws: StoreError.self) { try fixture.repository.verify("s1") } }
        return found
    }

    private func isDamage(_ error: StoreError?) -> Bool {
        if case .damaged(snapshot: "s1", _, part: "manifest.json", _)? = error { true } else { false }
    }

    @Test func noBitOfTheManifestFlipsUnseen() throws {
        let fixture = try RepositoryFixture()
        try fixture.take("s1", memory: 10)
        let bytes = try fixture.contents(fixture.sealedPath("s1", "manifest.json"))
        #expect(try damage(fixture, bytes) == nil)
        for index in bytes.indices {
            var damaged = bytes
            damaged[index] ^= 1 << UInt8(index % 8)
            #expect(isDamage(try damage(fixture, damaged)), "byte \(index)")
        }
    }

    @Test func aManifestCutShortAnywhereIsDamaged() throws {
        let fixture = try RepositoryFixture()
        try fixture.take("s1", memory: 10)
        let bytes = try fixture.contents(fixture.sealedPath("s1", "manifest.json"))
        for length in Array(0..<200) + [bytes.count / 2, bytes.count - 1] {
            #expect(isDamage(try damage(fixture, Array(bytes.prefix(length)))), "length \(length)")
        }
        #expect(isDamage(try damage(fixture, bytes + [10])))
    }

    /// What somebody writes who can compute checksums.
    private func forged(_ text: String) -> [UInt8] {
        let zeros = String(repeating: "0", count: 64)
        let digest = SHA256.hash(data: Array(text.utf8)).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        return Array(text.replacing(zeros, with: digest, maxReplacements: 1).utf8)
    }

    private func unsigned(_ fixture: RepositoryFixture) throws -> String {
        let text = String(decoding: try fixture.contents(fixture.sealedPath("s1", "manifest.json")), as: UTF8.self)
        let digest = try #require(text.split(separator: "\n")[3].split(separator: "\"").first { $0.count == 64 })
        return text.replacing(digest, with: String(repeating: "0", count: 64))
    }

    @Test func aManifestOfAnotherVersionIsNamedSo() throws {
        let fixture = try RepositoryFixture()
        try fixture.take("s1", memory: 10)
        let text = try unsigned(fixture).replacing("\"version\": 1,", with: "\"version\": 12,")
        #expect(
            try damage(fixture, forged(text)) == .manifestVersion(snapshot: "s1", found: 12, supported: 1))
        #expect(try damage(fixture, forged(text))?.failure.code == .manifestVersion)
        let absurd = text.replacing("\"version\": 12,", with: "\"version\": 99999999999999999999999,")
        #expect(isDamage(try damage(fixture, forged(absurd))))
    }

    @Test(arguments: [
        ("\"web/memory.img\"", "\"../../../etc/passwd\""),
        ("\"web/memory.img\"", "\"/etc/passwd\""),
        ("\"web/memory.img\"", "\"web/../../s2/web/memory.img\""),
        ("\"web/memory.img\"", "\"web/\""),
        ("\"web/memory.img\"", "\"web/.memory.img\""),
        ("\"web/memory.img\"", "\"memory.img\""),
        ("\"web/memory.img\"", "\"web//memory.img\""),
        ("\"web/memory.img\"", "\"web/memory.img\\u0000\""),
        ("\"web/memory.img\"", "\"Windows%2010%2F%C3%BC/memory.img\""),
        ("\"web/memory.img\"", "\"web/domain.xml\""),
        ("\"size\" : 10", "\"size\" : -1"),
        ("\"size\" : 10", "\"size\" : 18446744073709551615"),
        ("\"size\" : 10", "\"size\" : 1e400"),
        ("\"size\" : 10", "\"size\" : 10.5"),
        ("\"size\" : 10", "\"size\" : \"10\""),
        ("\"size\" : 10", "\"size\" : null"),
        ("\"id\" : \"s1\"", "\"id\" : \"s2\""),
        ("\"id\" : \"s1\"", "\"id\" : [\"s1\"]"),
        ("\"mode\" : \"hold\"", "\"mode\" : \"hope\""),
        ("\"epoch\" : 7", "\"epoch\" : -7"),
        ("\"name\" : \"web\"", "\"name\" : \"\""),
        ("\"name\" : \"web\"", "\"name\" : \"..\""),
        ("\"name\" : \"web\"", "\"name\" : \"a\\nb\""),
        ("\"name\" : \"web\"", "\"name\" : \"Windows 10/ü\""),
    ]) func aHostileManifestIsDamaged(sound: String, hostile: String) throws {
        let fixture = try RepositoryFixture()
        try fixture.take("s1", memory: 10)
        let text = try unsigned(fixture)
        #expect(try damage(fixture, forged(text)) == nil)
        try #require(text.contains(sound))
        #expect(isDamage(try damage(fixture, forged(text.replacing(sound, with: hostile)))))
    }

    @Test func bombsAreDefused() throws {
        let fixture = try RepositoryFixture()
        try fixture.take("s1", memory: 10)
        let text = try unsigned(fixture)
        let deep = String(repeating: "[", count: 200_000) + String(repeating: "]", count: 200_000)
        #expect(isDamage(try damage(fixture, forged(text.replacing("\"skew\" : 250", with: "\"skew\" : \(deep)")))))
        let objects = String(repeating: "{\"a\":", count: 100_000) + "1" + String(repeating: "}", count: 100_000)
        #expect(
            isDamage(
                try damage(
                    fixture, forged(text.replacing("\"skew\" : 250", with: "\"x\" : \(objects), \"skew\" : 250")))))
        #expect(isDamage(try damage(fixture, forged(text.replacing("\"members\" : [", with: "\"members\" : [[")))))

        // Larger than any manifest may be, and not read for that.
        let path = fixture.sealedPath("s1", "manifest.json")
        #expect(truncate(path, 1 << 40) == 0)
        #expect(throws: StoreError.self) { try fixture.repository.manifest("s1") }
        #expect(unlink(path) == 0)
        #expect(mkfifo(path, 0o600) == 0)
        #expect(throws: StoreError.self) { try fixture.repository.manifest("s1") }
    }

    @Test func aForgedVerdictIsFound() throws {
        let fixture = try RepositoryFixture()
        try fixture.take("s1", memory: 10)
        let text = try unsigned(fixture)
        let watchdog = text.replacing("\"watchdogFired\" : false", with: "\"watchdogFired\" : true")
        #expect(try damageFree(fixture, forged(watchdog)))
        let report = try fixture.repository.verify("s1")
        #expect(!report.isWhole)
        #expect(!report.verdict.consistent)
        #expect(report.problems.contains { $0.what == "The stored verdict is not what the stored evidence says." })
        #expect(report.problems.contains { $0.what == "The watchdog opened the gate of web." })

        let skewed = text.replacing("\"skew\" : 250", with: "\"skew\" : 0")
        #expect(try damageFree(fixture, forged(skewed)))
        #expect(
            try fixture.repository.verify("s1").problems.map(\.what) == [
                "The stored skew is not what the stored evidence says."
            ])
    }

    private func damageFree(_ fixture: RepositoryFixture, _ bytes: [UInt8]) throws -> Bool {
        try damage(fixture, bytes) == nil
    }

    @Test func aThousandRandomDamagesAreAllFound() throws {
        let seed = UInt64.random(in: .min ... .max)
        var generator = SeededGenerator(state: seed)
        let fixture = try RepositoryFixture()
        let manifest = try fixture.take("s1", memory: 500)
        let files = manifest.members.flatMap(\.stored.parts).map(\.path) + ["manifest.json"]
        for round in 0..<1000 {
            let file = files.randomElement(using: &generator) ?? "manifest.json"
            let path = fixture.sealedPath("s1", file)
            let sound = try fixture.contents(path)
            var bytes = sound
            let index = Int.random(in: bytes.indices, using: &generator)
            switch Int.random(in: 0..<4, using: &generator) {
            case 0: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            case 1: bytes.removeSubrange(index...)
            case 2: bytes.insert(0, at: index)
            default: bytes[index] &+= UInt8.random(in: 1...255, using: &generator)
            }
            try fixture.overwrite(path, bytes)
            let whole = (try? fixture.repository.verify("s1").isWhole) ?? false
            #expect(!whole, "round \(round) of seed \(seed): \(file) at \(index)")
            try fixture.overwrite(path, sound)
        }
        #expect(try fixture.repository.verify("s1").isWhole)
    }
}

/// SplitMix64, so that a failing run can be repeated from its seed.
private struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
