import SnapshotProtocol
import Testing

/// What must hold in every course of a restore, judged over some thousand random ones.
@Suite struct RestorePropertyTests {
    static let schedules: [RestoreSchedule] = Seeds.all.map { RestoreSchedule.run(seed: $0) }

    private func check(_ judge: (RestoreSchedule) -> String?) {
        var objections = 0
        for schedule in Self.schedules {
            guard let objection = judge(schedule) else { continue }
            objections += 1
            if objections <= 3 { Issue.record("HOLDFAST_SEED=\(schedule.seed): \(objection)") }
        }
        #expect(objections == 0)
    }

    @Test func theSchedulesReachEveryOutcome() {
        var restored = 0
        var refused = 0
        var failed = 0
        for schedule in Self.schedules {
            switch schedule.cluster.outcome {
            case .restored: restored += 1
            case .refused: refused += 1
            case .failed: failed += 1
            case nil: break
            }
        }
        #expect(restored * 10 > Self.schedules.count)
        #expect(refused * 100 > Self.schedules.count)
        #expect(failed * 20 > Self.schedules.count)
        for phase in RestoreCoordinator.Phase.allCases where phase != .idle {
            let entered = Self.schedules.contains { $0.cluster.history.contains(.decided(.enter(phase))) }
            #expect(entered, "No schedule got to \(phase.rawValue).")
        }
    }

    /// The fence is a barrier: it stands on every host, also on those that get no member, before anything is loaded.
    @Test func nothingIsLoadedBeforeEveryHostIsFenced() {
        check { schedule in
            var fenced: Set<HostName> = []
            for occurrence in schedule.cluster.history {
                switch occurrence {
                case .performed(.fence, let host):
                    if schedule.cluster.plan.replaceRunning || schedule.cluster.originals[host] == nil {
                        fenced.insert(host)
                    }
                case .decided(.send(.load, _)), .ordered(.load, _):
                    let rest = schedule.cluster.hosts.filter { !fenced.contains($0) }
                    if !rest.isEmpty { return "\(occurrence) while \(rest) are not fenced" }
                default: break
                }
            }
            return nil
        }
    }

    @Test func nothingIsReplayedBeforeEveryMemberIsLoaded() {
        check { schedule in
            var missing = Set(schedule.cluster.plan.members.map(\.name))
            for occurrence in schedule.cluster.history {
                switch occurrence {
                case .performed(.load(let member), _): missing.remove(member.name)
                case .decided(.send(.replay, _)), .ordered(.replay, _):
                    if !missing.isEmpty { return "\(occurrence) while \(missing.sorted()) are not loaded" }
                default: break
                }
            }
            return nil
        }
    }

    @Test func nothingStartsBeforeAllIsReplayedAndEveryFenceIsOpen() {
        check { schedule in
            let cluster = schedule.cluster
            var silent = cluster.plan.replayLogs ? Set(cluster.plan.members.map(\.name)) : []
            var fenced = Set(cluster.hosts)
            for occurrence in cluster.history {
                switch occurrence {
                case .performed(.replay(let member), _): silent.remove(member.name)
                case .performed(.open, let host): fenced.remove(host)
                case .decided(.send(.open, _)):
                    if !silent.isEmpty { return "\(occurrence) while \(silent.sorted()) lack their logs" }
                case .decided(.send(.start, _)), .ordered(.start, _):
                    if !silent.isEmpty { return "\(occurrence) while \(silent.sorted()) lack their logs" }
                    if !fenced.isEmpty { return "\(occurrence) while \(fenced.sorted()) are fenced" }
                default: break
                }
            }
            return nil
        }
    }

    /// All or nothing. Once every member runs and the hosts have been told to keep them, they stay; before, nothing
    /// does, on any host, whoever can still talk to whom.
    @Test func afterAFailureNothingStaysLoaded() {
        check { schedule in
            let cluster = schedule.cluster
            let told = cluster.history.contains(.decided(.enter(.finishing)))
            switch cluster.outcome {
            case .restored: return nil
            case .refused, .failed:
                if !cluster.loaded.isEmpty { return "\(cluster.loaded.sorted()) are still there after a failure" }
            case nil:
                if !told, !cluster.loaded.isEmpty { return "the manager died and \(cluster.loaded.sorted()) stay" }
            }
            return cluster.committed.isEmpty || told ? nil : "\(cluster.committed) committed without being told"
        }
    }

    @Test func everyScheduleEndsWithoutAFence() {
        check { schedule in
            if schedule.unfinished { return "still under way after thousands of steps" }
            let cluster = schedule.cluster
            if cluster.managerAlive, cluster.coordinator.phase != .finished {
                return "the coordinator stays \(cluster.coordinator.phase.rawValue)"
            }
            for (host, participant) in cluster.participants
            where participant.phase != .finished && participant.phase != .idle {
                return "\(host) stays \(participant.phase.rawValue)"
            }
            return cluster.fences.isEmpty ? nil : "the fence stands on \(cluster.fences.sorted())"
        }
    }

    @Test func anUndisturbedScheduleRestoresEverything() {
        check { schedule in
            guard schedule.undisturbed else { return nil }
            let plan = schedule.cluster.plan
            let expected = RestoreCoordinator.Outcome.restored(
                replayed: plan.replayLogs ? 2 * UInt64(plan.members.count) : 0)
            guard schedule.cluster.outcome == expected else {
                return "ended with \(String(describing: schedule.cluster.outcome))"
            }
            return schedule.cluster.loaded == Set(plan.members.map(\.name)) ? nil : "members are missing"
        }
    }

    @Test func aRefusalNamesEachReasonOnce() {
        check { schedule in
            guard case .refused(let failures) = schedule.cluster.outcome else { return nil }
            return Set(failures).count == failures.count ? nil : "the same reason twice: \(failures)"
        }
    }
}
