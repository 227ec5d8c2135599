import SnapshotProtocol
import Testing

/// What a well-behaved host never does, and no schedule therefore shows.
@Suite struct SnapshotCoordinatorTests {
    private let near = HostName("d1")
    private let far = HostName("d2")

    private func cut(_ name: String) -> MemberCut {
        MemberCut(
            member: MemberName(name), armedAt: 1, cutStartedAt: 2, cutEndedAt: 3, pause: 1, method: "background")
    }

    private func stored(_ name: String) -> StoredMember {
        StoredMember(member: MemberName(name), parts: [], savedAt: 5, requirements: [:])
    }

    /// Brings `a@d1 c@d2` to the point at which both gates are to be released.
    private func coordinatorInReleasing() -> SnapshotCoordinator {
        var coordinator = SnapshotCoordinator(plan: SnapshotCluster.plan(["a@d1", "c@d2"]))
        _ = coordinator.handle(.start, at: Tick(0))
        for report in [SnapshotReport.prepared, .armed(.hold), .flushed(.hold)] {
            _ = coordinator.handle(.report(report, from: near), at: Tick(0))
            _ = coordinator.handle(.report(report, from: far), at: Tick(0))
        }
        _ = coordinator.handle(.report(.cut([cut("a")]), from: near), at: Tick(0))
        _ = coordinator.handle(.report(.cut([cut("c")]), from: far), at: Tick(0))
        return coordinator
    }

    @Test func aHostIsBelievedAboutItsOwnMembersOnly() {
        var coordinator = coordinatorInReleasing()
        let sound = ["a", "c"].map { GateAttestation(member: MemberName($0), releasedAt: 4) }
        _ = coordinator.handle(.report(.released([]), from: far), at: Tick(0))
        _ = coordinator.handle(.report(.released(sound), from: near), at: Tick(0))
        _ = coordinator.handle(.report(.saved([stored("c")]), from: far), at: Tick(0))
        let actions = coordinator.handle(.report(.saved([stored("a")]), from: near), at: Tick(0))
        #expect(coordinator.phase == .aborting)
        #expect(actions.first == .enter(.aborting))
    }

    @Test func partsThatAreSavedBeforeTheLastReleaseAreRemembered() {
        var coordinator = coordinatorInReleasing()
        let gates = ["a", "c"].map { GateAttestation(member: MemberName($0), releasedAt: 4) }
        _ = coordinator.handle(.report(.released([gates[0]]), from: near), at: Tick(0))
        _ = coordinator.handle(.report(.saved([stored("a")]), from: near), at: Tick(0))
        _ = coordinator.handle(.report(.released([gates[1]]), from: far), at: Tick(0))
        #expect(coordinator.phase == .saving)
        _ = coordinator.handle(.report(.saved([stored("c")]), from: far), at: Tick(0))
        #expect(coordinator.phase == .sealing)
    }

    /// Before its own release a host can have saved nothing.
    @Test func partsThatAreSavedBeforeTheOwnReleaseDoNotCount() {
        var coordinator = coordinatorInReleasing()
        let gates = ["a", "c"].map { GateAttestation(member: MemberName($0), releasedAt: 4) }
        _ = coordinator.handle(.report(.saved([stored("a")]), from: near), at: Tick(0))
        _ = coordinator.handle(.report(.released([gates[0]]), from: near), at: Tick(0))
        _ = coordinator.handle(.report(.released([gates[1]]), from: far), at: Tick(0))
        _ = coordinator.handle(.report(.saved([stored("c")]), from: far), at: Tick(0))
        #expect(coordinator.phase == .saving)
    }
}
