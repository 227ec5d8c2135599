import SnapshotProtocol
import Testing

/// What must hold in every course of an epoch, judged over some thousand random ones. Each test guards one mechanism;
/// a failure names the seed with which `SnapshotSchedule.run(seed:)` repeats the course.
@Suite struct SnapshotPropertyTests {
    static let schedules: [SnapshotSchedule] = Seeds.all.map { SnapshotSchedule.run(seed: $0) }

    /// Runs `judge` over all courses and reports the first few that it objects to.
    private func check(_ judge: (SnapshotSchedule) -> String?) {
        var objections = 0
        for schedule in Self.schedules {
            guard let objection = judge(schedule) else { continue }
            objections += 1
            if objections <= 3 { Issue.record("HOLDFAST_SEED=\(schedule.seed): \(objection)") }
        }
        #expect(objections == 0)
    }

    @Test func theSchedulesReachEveryOutcome() {
        let sealed = Self.schedules.filter { if case .sealed = $0.cluster.outcome { true } else { false } }
        let aborted = Self.schedules.filter { if case .aborted = $0.cluster.outcome { true } else { false } }
        let logged = sealed.filter { !$0.cluster.traffic.log.isEmpty }
        #expect(sealed.count * 10 > Self.schedules.count)
        #expect(aborted.count * 10 > Self.schedules.count)
        #expect(logged.count * 20 > Self.schedules.count)
        for phase in SnapshotCoordinator.Phase.allCases where phase != .idle {
            let entered = Self.schedules.contains { $0.cluster.history.contains(.decided(.enter(phase))) }
            #expect(entered, "No schedule got to \(phase.rawValue).")
        }
    }

    /// The barrier before the cut, part one: nobody flushes, let alone cuts, while a gate somewhere is still open.
    @Test func noMemberIsCutBeforeEveryGateIsArmed() {
        check { schedule in
            var armed: Set<HostName> = []
            for occurrence in schedule.cluster.history {
                switch occurrence {
                case .performed(.armGates, let host): armed.insert(host)
                case .decided(.fallBack): armed = []
                case .decided(.send(.flush, _)), .decided(.send(.cut, _)), .ordered(.sendMarkers, _),
                    .ordered(.cut, _):
                    let open = schedule.cluster.hosts.filter { !armed.contains($0) }
                    if !open.isEmpty { return "\(occurrence) while the gates of \(open) are open" }
                default: break
                }
            }
            return nil
        }
    }

    /// The barrier before the cut, part two: all hosts have their markers, or have waited for them long enough.
    @Test func noMemberIsCutBeforeEveryHostHasFlushed() {
        check { schedule in
            var flushed: Set<HostName> = []
            for occurrence in schedule.cluster.history {
                switch occurrence {
                case .ordered(.report(.flushed), let host): flushed.insert(host)
                case .decided(.fallBack): flushed = []
                case .decided(.send(.cut, _)), .ordered(.cut, _):
                    let rest = schedule.cluster.hosts.filter { !flushed.contains($0) }
                    if !rest.isEmpty { return "\(occurrence) while \(rest) wait for markers" }
                default: break
                }
            }
            return nil
        }
    }

    /// The barrier before the release.
    @Test func noGateIsReleasedBeforeEveryMemberIsCut() {
        check { schedule in
            var uncut = Set(schedule.cluster.plan.members.map(\.name))
            for occurrence in schedule.cluster.history {
                switch occurrence {
                case .performed(.cut(let member), _): uncut.remove(member)
                case .decided(.send(.release, _)), .ordered(.releaseGates, _):
                    if !uncut.isEmpty { return "\(occurrence) while \(uncut.sorted()) are not cut" }
                default: break
                }
            }
            return nil
        }
    }

    /// Late arrivals are logged nowhere any more when the first gate opens; else what is released on one host would be
    /// taken for channel state on another.
    @Test func noGateIsReleasedWhileAHostLogsLateArrivals() {
        check { schedule in
            var cut: Set<HostName> = []
            var stopped: Set<HostName> = []
            for occurrence in schedule.cluster.history {
                switch occurrence {
                case .ordered(.report(.cut), let host): cut.insert(host)
                case .performed(.stopLateLog, let host), .performed(.openGates, let host), .killed(let host):
                    stopped.insert(host)
                case .performed(.releaseGates, let host):
                    stopped.insert(host)
                    // A host that has not cut everything yet is the concern of the test before.
                    let rest = cut.subtracting(stopped)
                    if !rest.isEmpty { return "a gate opened while \(rest.sorted()) log late arrivals" }
                default: break
                }
            }
            return nil
        }
    }

    /// Invariant I1, end to end: with real segments under way.
    @Test func noSealedSnapshotHasAnOrphan() {
        check { schedule in
            guard case .sealed = schedule.cluster.outcome else { return nil }
            let orphans = schedule.cluster.traffic.orphans
            return orphans.isEmpty ? nil : "orphans \(orphans)"
        }
    }

    /// Invariant I2, end to end: only channel state is logged; all of it, once, where paths keep the order and markers
    /// arrive.
    @Test func theLogOfASealedSnapshotIsTheChannelState() {
        check { schedule in
            guard case .sealed(_, let verdict, _) = schedule.cluster.outcome else { return nil }
            let traffic = schedule.cluster.traffic
            let strangers = traffic.log.filter(\.afterCut)
            if !strangers.isEmpty { return "logged although emitted after the cut: \(strangers)" }
            if Set(traffic.log).count != traffic.log.count { return "logged twice: \(traffic.log)" }
            if schedule.ordered, verdict.logComplete, traffic.losses == 0 {
                let lacking = traffic.channelState.subtracting(traffic.log)
                if !lacking.isEmpty { return "not logged: \(lacking)" }
            }
            return nil
        }
    }

    /// The verdict: nothing is sealed unless every member's evidence is there and sound.
    @Test func sealsOnlyWithCompleteAndSoundEvidence() {
        check { schedule in
            let cluster = schedule.cluster
            for occurrence in cluster.history {
                guard case .decided(.seal(let evidence, let verdict, _)) = occurrence else { continue }
                if !schedule.tampered.isEmpty { return "sealed although \(schedule.tampered) attested a broken gate" }
                if evidence.map(\.member) != cluster.plan.members { return "sealed without evidence of every member" }
                for item in evidence {
                    let names = [item.cut.member, item.gate.member, item.stored.member]
                    if names.contains(where: { $0 != item.member.name }) { return "evidence of another member" }
                }
                if !verdict.consistent { return "sealed with \(verdict)" }
                if verdict.logComplete, !cluster.deafChannels.isEmpty {
                    return "log called complete although the markers on \(cluster.deafChannels) never arrived"
                }
            }
            return nil
        }
    }

    @Test func whatIsSealedIsNeverDiscarded() {
        check { schedule in
            let cluster = schedule.cluster
            let seals = cluster.history.filter { if case .decided(.seal) = $0 { true } else { false } }
            if seals.count > 1 { return "sealed twice" }
            let discarded = cluster.history.contains(.decided(.discard))
            if cluster.manifestExists, discarded { return "the manifest exists, and yet the parts were discarded" }
            switch cluster.outcome {
            case .sealed: return cluster.manifestExists ? nil : "called sealed without a manifest"
            case .aborted:
                if cluster.manifestExists { return "called aborted although the manifest exists" }
                let begun = cluster.history.contains(.decided(.enter(.preparing)))
                return discarded || !begun ? nil : "aborted, and the parts were left"
            case nil: return cluster.managerAlive ? "no outcome" : nil
            }
        }
    }

    /// Invariant I3 as far as the machines go: whatever happened, nothing stays held, frozen or under way.
    @Test func everyScheduleEndsWithGatesOpenAndMembersGivenBack() {
        check { schedule in
            if schedule.unfinished { return "still under way after thousands of steps" }
            let cluster = schedule.cluster
            if cluster.managerAlive, cluster.coordinator.phase != .finished {
                return "the coordinator stays \(cluster.coordinator.phase.rawValue)"
            }
            for (host, participant) in cluster.participants {
                if participant.phase != .finished, participant.phase != .idle {
                    return "\(host) stays \(participant.phase.rawValue)"
                }
                var closed = false
                var open: Set<MemberName> = []
                var ends: [MemberName: Set<String>] = [:]
                for occurrence in cluster.history {
                    switch occurrence {
                    case .performed(.armGates, host): closed = true
                    case .performed(.releaseGates, host), .performed(.openGates, host): closed = false
                    case .performed(.prepare(let member), host): open.insert(member.name)
                    case .performed(.finish(let member), host): ends[member, default: []].insert("finished")
                    case .performed(.abandon(let member), host): ends[member, default: []].insert("abandoned")
                    default: break
                    }
                }
                if closed { return "the gates of \(host) stay closed" }
                if let member = open.first(where: { ends[$0, default: []].count != 1 }) {
                    return "\(member) was \(ends[member] ?? [])"
                }
            }
            return nil
        }
    }

    @Test func anUndisturbedScheduleSeals() {
        check { schedule in
            guard schedule.undisturbed else { return nil }
            if case .sealed(_, let verdict, _) = schedule.cluster.outcome, verdict.logComplete { return nil }
            return "ended with \(String(describing: schedule.cluster.outcome))"
        }
    }
}
