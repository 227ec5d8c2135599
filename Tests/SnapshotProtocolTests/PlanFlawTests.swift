import SnapshotProtocol
import Testing

/// Plans that no manager makes, and no participant may follow.
@Suite struct PlanFlawTests {
    private let host = HostName("d1")

    private func prepared(_ change: (inout SnapshotPlan) -> Void) -> [SnapshotParticipant.Action] {
        var plan = SnapshotCluster.plan(["a@d1", "b@d2"])
        change(&plan)
        var participant = SnapshotParticipant(host: host)
        return participant.handle(.command(.prepare(plan)), at: Tick(0))
    }

    private func fenced(_ change: (inout RestorePlan) -> Void) -> [RestoreParticipant.Action] {
        var plan = RestorePlan(
            snapshot: "s-1", cluster: "c",
            members: ["a", "b"].map {
                RestoredMember(
                    name: MemberName($0), host: host, machine: "uuid-\($0)", nics: [],
                    parts: [
                        StoredPart(kind: "memory", path: "p", size: 1, sha256: ""),
                        StoredPart(kind: "disk:vda", path: "p", size: 1, sha256: ""),
                    ], requirements: [:])
            }, replaceRunning: false, replayLogs: true)
        change(&plan)
        var participant = RestoreParticipant(host: host)
        let actions = participant.handle(.command(.fence(plan)))
        #expect((participant.phase == .finished) == (actions.last == .end))
        return actions
    }

    private func isRefused(_ actions: [SnapshotParticipant.Action]) -> Bool {
        guard case .report(.failed(let failure)) = actions.first else { return false }
        return failure.code == .usage && Array(actions.dropFirst()) == [.report(.aborted), .end]
    }

    private func isRefused(_ actions: [RestoreParticipant.Action]) -> Bool {
        guard case .report(.failed(let failure)) = actions.first else { return false }
        return failure.code == .usage && Array(actions.dropFirst()) == [.report(.discarded), .end]
    }

    @Test func aSoundPlanIsFollowed() {
        #expect(!isRefused(prepared { $0.holdBudget = SnapshotPlan.longestWait }))
        #expect(!isRefused(fenced { _ in }))
    }

    @Test func absurdTimesAreRefused() {
        #expect(isRefused(prepared { $0.holdBudget = .max }))
        #expect(isRefused(prepared { $0.flushBound = SnapshotPlan.longestWait + 1 }))
    }

    @Test func aMemberThatIsNamedTwiceIsRefused() {
        #expect(isRefused(prepared { $0.members.append($0.members[0]) }))
        #expect(isRefused(fenced { $0.members.append($0.members[0]) }))
    }

    @Test(arguments: ["", ".", "..", "../s", "/etc", "a/b", "a\0b", "a\nb", ".hidden"])
    func namesThatLeadElsewhereAreRefused(name: String) {
        #expect(isRefused(fenced { $0.snapshot = name }))
        #expect(isRefused(fenced { $0.members[1].machine = name }))
        #expect(isRefused(fenced { $0.members[1].parts[1].kind = "disk:" + name }))
        #expect(isRefused(fenced { $0.members[1].parts[1].kind = "file:" + name }))
    }

    @Test func aDiskThatIsNamedTwiceIsRefused() {
        #expect(isRefused(fenced { $0.members[0].parts.append($0.members[0].parts[1]) }))
    }

    @Test func countsOfSegmentsDoNotOverflow() {
        let plan = RestorePlan(
            snapshot: "s", cluster: "c",
            members: ["d1", "d2"].map {
                RestoredMember(
                    name: MemberName("on-" + $0), host: HostName($0), machine: "m", nics: [], parts: [],
                    requirements: [:])
            }, replaceRunning: false, replayLogs: true)
        var coordinator = RestoreCoordinator(plan: plan, reachable: [])
        _ = coordinator.handle(.start, at: Tick(0))
        var actions: [RestoreCoordinator.Action] = []
        for report in [RestoreReport.fenced, .loaded, .replayed(segments: .max), .opened, .started, .finished] {
            for host in ["d1", "d2"] {
                actions = coordinator.handle(.report(report, from: HostName(host)), at: Tick(0))
            }
        }
        #expect(actions.last == .finished(.restored(replayed: .max)))
    }
}
