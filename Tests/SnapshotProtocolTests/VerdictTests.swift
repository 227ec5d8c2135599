import SnapshotProtocol
import Testing

@Suite struct VerdictTests {
    /// Evidence of one member whose cut went as it should.
    private func evidence(of name: String = "a", change: (inout MemberEvidence) -> Void = { _ in }) -> MemberEvidence {
        let member = MemberName(name)
        var evidence = MemberEvidence(
            member: PlannedMember(name: member, host: HostName("d1"), machine: "machine-\(name)", nics: []),
            cut: MemberCut(
                member: member, armedAt: 100, cutStartedAt: 200, cutEndedAt: 300, pause: 50, method: "background"),
            gate: GateAttestation(
                member: member, held: 5, heldBeforeCut: 3, logged: 4, releasedAt: 400, holdTime: 300),
            stored: StoredMember(member: member, parts: [], savedAt: 500, requirements: [:]))
        change(&evidence)
        return evidence
    }

    @Test func soundEvidenceOfAllMembersIsConsistentAndComplete() {
        let verdict = Verdict.judge([evidence(of: "a"), evidence(of: "b")], mode: .hold)
        #expect(verdict == Verdict(consistent: true, logComplete: true, reasons: []))
    }

    @Test func noEvidenceIsNoSnapshot() {
        let verdict = Verdict.judge([], mode: .hold)
        #expect(!verdict.consistent)
        #expect(!verdict.logComplete)
        #expect(verdict.reasons == ["There is no member."])
    }

    /// One thing that spoils the evidence, and the words that the reason must have.
    struct Spoiler: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let reason: String
        let apply: @Sendable (inout MemberEvidence) -> Void

        init(_ name: String, _ reason: String, _ apply: @escaping @Sendable (inout MemberEvidence) -> Void) {
            testDescription = name
            self.reason = reason
            self.apply = apply
        }
    }

    static let spoilers: [Spoiler] = [
        Spoiler("broken gate", "did not hold from arm to release") { $0.gate.unbroken = false },
        Spoiler("watchdog", "The watchdog opened the gate of b.") { $0.gate.watchdogFired = true },
        Spoiler("overflow", "The queue of b lost 7 packets.") { $0.gate.overflowed = 7 },
        Spoiler("foreign change", "changed the packet filter on the host of b") { $0.gate.foreignChanges = 1 },
        Spoiler("more held before the cut than in all", "more segments before its cut") { $0.gate.heldBeforeCut = 6 },
        Spoiler("armed after the cut began", "not in order") { $0.cut.armedAt = 201 },
        Spoiler("cut ended before it began", "not in order") { $0.cut.cutEndedAt = 199 },
        Spoiler("released before the cut", "released before its cut was over") { $0.gate.releasedAt = 150 },
        Spoiler("released during the cut", "released before its cut was over") { $0.gate.releasedAt = 299 },
        Spoiler("never released", "released before its cut was over") { $0.gate.releasedAt = 0 },
        Spoiler("another's cut", "The cut recorded for b belongs to c.") { $0.cut.member = MemberName("c") },
        Spoiler("another's gate", "The gate recorded for b belongs to c.") { $0.gate.member = MemberName("c") },
        Spoiler("another's parts", "The image recorded for b belongs to c.") {
            $0.stored.member = MemberName("c")
        },
    ]

    @Test(arguments: spoilers) func oneFlawOfOneMemberSpoilsTheWhole(_ spoiler: Spoiler) throws {
        let verdict = Verdict.judge(
            [evidence(of: "a"), evidence(of: "b", change: spoiler.apply), evidence(of: "c")], mode: .hold)
        #expect(!verdict.consistent)
        #expect(!verdict.logComplete)
        let reason = try #require(verdict.reasons.first)
        #expect(verdict.reasons.count == 1)
        #expect(reason.contains(spoiler.reason))
    }

    @Test func momentsThatCoincideAreInOrder() {
        let verdict = Verdict.judge(
            [
                evidence {
                    $0.cut.armedAt = 300
                    $0.cut.cutStartedAt = 300
                    $0.cut.cutEndedAt = 300
                    $0.gate.releasedAt = 300
                }
            ], mode: .hold)
        #expect(verdict.consistent)
    }

    /// A lost marker says nothing about orphans: only the log may lack something, and the verdict names the channel.
    @Test func missingMarkersLeaveTheCutConsistentButNotTheLogComplete() {
        let channels = ["c", "b"].map { Channel(sender: MemberName($0), receiver: MemberName("a")) }
        let verdict = Verdict.judge(
            [evidence(of: "a") { $0.gate.markersMissing = channels }, evidence(of: "b")], mode: .hold)
        #expect(verdict.consistent)
        #expect(!verdict.logComplete)
        #expect(
            verdict.reasons == [
                "No marker arrived on b>a: its log may lack segments.",
                "No marker arrived on c>a: its log may lack segments.",
            ])
    }

    @Test func everyFlawIsNamed() {
        let verdict = Verdict.judge(
            [
                evidence(of: "a") { $0.gate.watchdogFired = true },
                evidence(of: "b") {
                    $0.gate.overflowed = 2
                    $0.gate.foreignChanges = 1
                },
            ], mode: .hold)
        #expect(verdict.reasons.count == 3)
    }

    /// In colour mode the marker of the cut is what shows that the path kept the colour up to the cut.
    @Test(arguments: [true, false]) func aMarkerOfACutThatIsMissingOrBleachedSpoilsTheWhole(_ bleached: Bool) {
        let channel = Channel(sender: MemberName("b"), receiver: MemberName("a"))
        let verdict = Verdict.judge(
            [
                evidence(of: "a") {
                    if bleached { $0.gate.bleached = [channel] } else { $0.gate.markersMissing = [channel] }
                }, evidence(of: "b"),
            ], mode: .colour)
        #expect(!verdict.consistent)
        #expect(!verdict.logComplete)
        #expect(verdict.reasons.count == 1)
        #expect(verdict.reasons.first?.contains("b>a") == true)
    }
}
