/// The manager's side of a restore: fence, load, replay, open, start; all or nothing.
package struct RestoreCoordinator: Sendable {
    package enum Phase: String, Sendable, Hashable, CaseIterable {
        case idle, fencing, loading, replaying, opening, starting, finishing, discarding, finished
    }

    package struct Deadlines: Sendable, Hashable {
        /// Longest stay in each phase but loading, in milliseconds.
        package var step: UInt64 = 30_000
        /// Longest time for loading: the images are read in it.
        package var load: UInt64 = 3_600_000

        package init() {}
    }

    package enum Event: Sendable, Hashable {
        case start
        case report(RestoreReport, from: HostName)
        case hostLost(HostName)
        case cancel
        case tick
    }

    package enum Outcome: Sendable, Hashable {
        case restored(replayed: UInt64)
        case refused([Failure])
        case failed(Failure)
    }

    package enum Action: Sendable, Hashable {
        case send(RestoreCommand, to: HostName)
        case enter(Phase)
        case finished(Outcome)
    }

    package let plan: RestorePlan
    package private(set) var phase: Phase = .idle
    /// Hosts that get a member.
    private let targets: [HostName]
    /// All hosts that are fenced, `targets` among them.
    private let fenced: [HostName]
    private let deadlines: Deadlines
    private var pending: Set<HostName> = []
    /// Hosts that need not be told anything more: out of reach, or done with the restore.
    private var lost: Set<HostName> = []
    private var deadline: Tick?
    private var refusals: [Failure] = []
    private var failure: Failure?
    private var replayed: UInt64 = 0

    /// `reachable` are all hosts with a session: each of them could run an original.
    package init(plan: RestorePlan, reachable: [HostName], deadlines: Deadlines = Deadlines()) {
        self.plan = plan
        self.deadlines = deadlines
        targets = Set(plan.members.map(\.host)).sorted()
        fenced = Set(reachable).union(targets).sorted()
    }

    package mutating func handle(_ event: Event, at now: Tick) -> [Action] {
        if phase == .finished { return [] }
        switch event {
        case .start:
            guard phase == .idle else { return [] }
            guard !targets.isEmpty else {
                return finish(.failed(Failure(.usage, "The snapshot has no member that could be restored.")))
            }
            return enter(.fencing, telling: .fence(plan), hosts: fenced, until: now + deadlines.step)
        case .report(let report, let host): return received(report, from: host, at: now)
        case .hostLost(let host): return lose(host, at: now)
        case .cancel: return discard(Failure(.cancelled, "The restore was cancelled."), at: now)
        case .tick: return ticked(at: now)
        }
    }

    private mutating func received(_ report: RestoreReport, from host: HostName, at now: Tick) -> [Action] {
        guard fenced.contains(host) else { return [] }
        switch (phase, report) {
        case (.idle, _), (.finished, _): return []
        case (.discarding, .discarded), (.finishing, .finished): break
        case (.finishing, _), (.discarding, _): return []
        case (_, .failed(let failure)): return discard(failure, at: now)
        case (_, .discarded):
            // Without being told: that host believed this manager gone.
            lost.insert(host)
            return discard(Failure(.aborted, "\(host) gave the restore up; no member runs from the snapshot."), at: now)
        case (.fencing, .refused(let failures)):
            if pending.contains(host) { refusals.append(contentsOf: failures) }
        case (.fencing, .fenced), (.loading, .loaded), (.opening, .opened), (.starting, .started): break
        case (.replaying, .replayed(let segments)):
            if pending.contains(host) {
                // Counted by hosts, which may say anything.
                let (sum, overflow) = replayed.addingReportingOverflow(segments)
                replayed = overflow ? .max : sum
            }
        default: return []
        }
        guard pending.remove(host) != nil, pending.isEmpty else { return [] }
        return advance(at: now)
    }

    private mutating func advance(at now: Tick) -> [Action] {
        switch phase {
        case .fencing:
            guard refusals.isEmpty else { return discard(refusals[0], at: now) }
            return enter(.loading, telling: .load, hosts: targets, until: now + deadlines.load)
        case .loading: return enter(.replaying, telling: .replay, hosts: targets, until: now + deadlines.step)
        case .replaying: return enter(.opening, telling: .open, hosts: fenced, until: now + deadlines.step)
        case .opening: return enter(.starting, telling: .start, hosts: targets, until: now + deadlines.step)
        case .starting: return enter(.finishing, telling: .finish, hosts: fenced, until: now + deadlines.step)
        case .finishing: return finish(.restored(replayed: replayed))
        case .discarding: return finishDiscard()
        case .idle, .finished: return []
        }
    }

    private mutating func discard(_ failure: Failure, at now: Tick) -> [Action] {
        switch phase {
        case .discarding, .finishing, .finished: return []
        case .idle: return finish(.failed(failure))
        default: break
        }
        self.failure = failure
        let actions = enter(
            .discarding, telling: .discard(reason: failure.description), hosts: fenced, until: now + deadlines.step)
        return pending.isEmpty ? actions + finishDiscard() : actions
    }

    private mutating func finishDiscard() -> [Action] {
        if !refusals.isEmpty { return finish(.refused(refusals)) }
        return finish(.failed(failure ?? Failure(.aborted, "The restore was given up.")))
    }

    private mutating func lose(_ host: HostName, at now: Tick) -> [Action] {
        guard fenced.contains(host) else { return [] }
        lost.insert(host)
        switch phase {
        case .finished: return []
        case .finishing, .discarding:
            guard pending.remove(host) != nil, pending.isEmpty else { return [] }
            return advance(at: now)
        default:
            // Also a host without members counts: what runs there can no longer be told to stay silent.
            let text = "The connection to \(host) was lost during the restore; no member runs from the snapshot. "
            return discard(Failure(.hostUnavailable, text + "Restore again when it is back or without it."), at: now)
        }
    }

    private mutating func ticked(at now: Tick) -> [Action] {
        guard let deadline, now >= deadline else { return [] }
        switch phase {
        case .finishing: return finish(.restored(replayed: replayed))
        case .discarding: return finishDiscard()
        default:
            let names = pending.sorted().map(\.rawValue).joined(separator: ", ")
            return discard(Failure(.deadline, "\(names) did not finish \(phase.rawValue) in time."), at: now)
        }
    }

    private mutating func enter(
        _ next: Phase, telling command: RestoreCommand, hosts: [HostName], until deadline: Tick
    ) -> [Action] {
        phase = next
        self.deadline = deadline
        pending = Set(hosts).subtracting(lost)
        let sends = pending.sorted().map { Action.send(command, to: $0) }
        return [.enter(next)] + sends
    }

    private mutating func finish(_ outcome: Outcome) -> [Action] {
        phase = .finished
        pending = []
        deadline = nil
        return [.enter(.finished), .finished(outcome)]
    }
}
