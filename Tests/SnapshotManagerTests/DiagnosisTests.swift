import SnapshotManager
import SnapshotProtocol
import Testing
import WireProtocol

/// What is made of clocks, offers and probes. Pure.
@Suite struct DiagnosisTests {
    // MARK: Clocks

    @Test func theMiddleOfTheRoundTripIsTheBestGuess() {
        let estimate = ClockEstimate(asked: 1_000, told: 6_000, answered: 3_000)
        #expect(estimate.offset == 4_000)
        #expect(estimate.uncertainty == 1_000)
        #expect(ClockEstimate(asked: 6_000, told: 1_000, answered: 6_001).offset == -5_000)
    }

    @Test func theShortestRoundTripSaysMost() {
        let estimates = [(0, 900), (0, 100), (0, 500)].map {
            ClockEstimate(asked: UInt64($0.0), told: 0, answered: UInt64($0.1))
        }
        #expect(ClockEstimate.best(of: estimates)?.uncertainty == 50)
        #expect(ClockEstimate.best(of: []) == nil)
    }

    @Test func aClockIsWrongOnlyForCertain() {
        let second: UInt64 = 1_000_000_000
        #expect(!ClockEstimate(asked: 0, told: 2 * second, answered: 0).isWrong)
        #expect(ClockEstimate(asked: 0, told: 2 * second + 1, answered: 0).isWrong)
        // The answer may have been given at its beginning.
        #expect(!ClockEstimate(asked: 0, told: 5 * second, answered: 8 * second).isWrong)
        #expect(ClockEstimate(asked: 9 * second, told: 3 * second, answered: 9 * second).isWrong)
    }

    @Test(arguments: [(UInt64(0), UInt64.max, UInt64(0)), (.max, 0, .max), (.max, 0, 0), (1, .max, .max), (0, 0, .max)])
    func noAnswerIsTooMuch(asked: UInt64, told: UInt64, answered: UInt64) {
        let estimate = ClockEstimate(asked: asked, told: told, answered: answered)
        _ = estimate.isWrong
        #expect(!DesktopFindings.clock(estimate, of: HostName("pc1")).text.isEmpty)
    }

    // MARK: Placement

    @Test func aMemberFitsWhereNothingIsLacking() {
        let member = PlannedMember(name: MemberName("a"), host: HostName("pc1"), machine: "u", nics: [])
        let findings = PlacementFindings.all(
            members: [(planned: member, requirements: ["version": "8.0", "cpu": "v3"])],
            offers: [
                HostName("pc1"): ["version": "8.0"], HostName("pc2"): ["version": "7.2"],
                HostName("pc3"): ["version": "8.1", "cpu": "v2"], HostName("pc4"): [:],
            ])
        #expect(findings.map(\.level) == [.ok, .warning, .warning])
        #expect(findings[0].text.contains("pc1, pc4"))
        #expect(findings[1].text.contains("pc2") && findings[1].text.contains("7.2"))
        #expect(findings[2].text.contains("pc3") && findings[2].text.contains("v2"))
        #expect(findings.allSatisfy { $0.check == "placement" && $0.subject == .machine("a", on: HostName("pc1")) })
    }

    @Test func aMemberFitsNowhereWhereItsHypervisorIsMissingOrOutOfOrder() {
        let member = PlannedMember(name: MemberName("a"), host: HostName("pc1"), machine: "u", nics: [])
        let findings = PlacementFindings.all(
            members: [(planned: member, requirements: ["driver": "virtualbox", "version": "7.0.20"])],
            offers: [
                HostName("pc1"): ["driver": "qemu,virtualbox", "virtualbox.version": "7.0.20"],
                HostName("pc2"): ["driver": "qemu", "qemu.version": "9.0"],
                HostName("pc3"): ["driver": "virtualbox", "virtualbox.fault": "It cannot be run."],
                HostName("pc4"): ["driver": "virtualbox", "virtualbox.version": "7.0.20", "qemu.fault": "Away."],
            ])
        #expect(findings.map(\.level) == [.ok, .warning, .warning])
        #expect(findings[0].text == "It could be restored on pc1, pc4.")
        #expect(findings[1].text.contains("pc2: it needs virtualbox"))
        #expect(findings[2].text.contains("pc3: its virtualbox is out of order (It cannot be run)."))
    }

    // MARK: Paths

    private static let plan = PathTestPlan(
        id: 1, cluster: "web",
        members: ["a", "b"].map {
            PlannedMember(name: MemberName($0), host: HostName("on-\($0)"), machine: $0, nics: [])
        }, markerKey: [], budget: 1)

    private static let there = Channel(sender: MemberName("a"), receiver: MemberName("b"))
    private static let back = Channel(sender: MemberName("b"), receiver: MemberName("a"))

    private func findings(
        _ arrivals: [(Channel, Int64, Bool)], _ change: (inout PathTestCoordinator.Outcome) -> Void = { _ in }
    ) -> [Finding] {
        var outcome = PathTestCoordinator.Outcome()
        outcome.probed = true
        outcome.arrivals = arrivals.map {
            ProbeArrival(channel: $0.0, afterOwn: $0.1, bleached: $0.2, local: false)
        }
        change(&outcome)
        return PathFindings.all(plan: Self.plan, outcome: outcome)
    }

    private func levels(_ findings: [Finding], on channel: Channel) -> [String: FindingLevel] {
        Dictionary(
            findings.filter { $0.subject == .channel(channel) }.map { ($0.check, $0.level) },
            uniquingKeysWith: { first, _ in first })
    }

    @Test func theRoundTripIsTheSumOfBothEnds() {
        let found = findings([(Self.there, -40_000_000, false), (Self.back, 41_500_000, false)])
        #expect(levels(found, on: Self.there) == ["path": .ok, "path-colour": .ok, "path-time": .ok])
        #expect(found.filter { $0.check == "path-time" }.allSatisfy { $0.text.contains("1.5 ms") })
    }

    @Test func aSlowPathIsAWarning() {
        let found = findings([(Self.there, 60_000_000, false), (Self.back, 40_000_000, false)])
        #expect(levels(found, on: Self.back)["path-time"] == .warning)
        #expect(
            levels(findings([(Self.there, 59_999_999, false), (Self.back, 40_000_000, false)]), on: Self.back)[
                "path-time"] == .ok)
    }

    @Test func aLostChannelAndABleachedOneAreWarnings() {
        let found = findings([(Self.back, 1, true)])
        #expect(levels(found, on: Self.there) == ["path": .warning])
        #expect(levels(found, on: Self.back) == ["path": .ok, "path-colour": .warning])
    }

    @Test func whereGatesCannotBeArmedThereIsABlockerAndNothingIsSaidOfChannels() {
        let host = HostName("on-a")
        let found = findings([]) { $0.failures[host] = Failure(.queueTaken, "Taken.") }
        #expect(found == [Finding(.path, .desktop(host), blocker: Failure(.queueTaken, "Taken."))])
        let busy = findings([]) { $0.failures[host] = Failure(.busy, "An epoch goes before.") }
        #expect(busy.map(\.level) == [.warning])
        let cancelled = findings([]) { $0.isCancelled = true }
        #expect(cancelled.map(\.subject) == [.cluster("web")])
        #expect(cancelled.map(\.level) == [.warning])
    }

    @Test func whatHostsSayOfTimesCannotOverflow() {
        for after in [Int64.min, .max] {
            #expect(!findings([(Self.there, after, false), (Self.back, after, false)]).isEmpty)
        }
    }
}
