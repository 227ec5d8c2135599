/// A host agent's side of one path test. Ends by itself when the manager is gone, when its time is spent, and when an
/// epoch or a restore wants its members; and on every way out the gates are opened before it says so.
package struct PathTestParticipant: Sendable {
    package enum Phase: String, Sendable, Hashable, CaseIterable {
        case idle, arming, armed, probing, heard, ending, finished
    }

    package enum Event: Sendable, Hashable {
        case command(PathTestCommand)
        case gatesArmed
        case probeArrived(Channel)
        /// The answer to `close`.
        case closed([ProbeArrival])
        case failed(Failure)
        /// An epoch or a restore waits for its members.
        case wanted
        case managerLost
        case tick
    }

    /// `close` cannot fail and is always answered; whatever is under way is done or given up before.
    package enum Action: Sendable, Hashable {
        case arm(PathTestPlan)
        /// Send a probe on every channel whose sender is of this host. Comes again and again.
        case sendProbes
        /// Open the gates, remove rules and queues.
        case close
        case report(PathTestReport)
        /// The machine has ended: drop it.
        case end
    }

    package let host: HostName
    package private(set) var phase: Phase = .idle
    private var awaited: Set<Channel> = []
    private var budget: UInt64 = 0
    private var deadline: Tick?
    private var repetition: Tick?

    /// Between two probes of a channel, in milliseconds. Longer than a path should take, so that the first probe is
    /// known to be lost, or the path to be slow, when the round trip is longer.
    package static let probeInterval: UInt64 = 100

    package init(host: HostName) { self.host = host }

    package mutating func handle(_ event: Event, at now: Tick) -> [Action] {
        if phase == .finished { return [] }
        switch event {
        case .command(let command): return commanded(command, at: now)
        case .gatesArmed:
            guard phase == .arming else { return [] }
            phase = .armed
            return [.report(.armed)]
        case .probeArrived(let channel):
            awaited.remove(channel)
            return endProbingIfComplete()
        case .closed(let arrivals):
            guard phase == .ending else { return [] }
            phase = .finished
            return [.report(.ended(arrivals)), .end]
        case .failed(let failure): return close(after: .failed(failure))
        case .wanted:
            let text = "\(host) has ended the path test, for an epoch or a restore goes before it. Try again afterwards."
            return close(after: .failed(Failure(.busy, text)))
        case .managerLost: return close(after: nil)
        case .tick: return ticked(at: now)
        }
    }

    private mutating func commanded(_ command: PathTestCommand, at now: Tick) -> [Action] {
        switch (phase, command) {
        case (.idle, .arm(let plan)):
            if let flaw = plan.flaw { return close(after: .failed(Failure(.usage, flaw))) }
            let own = Set(plan.members(on: host).map(\.name))
            guard !own.isEmpty else {
                let text = "No member of \(plan.cluster) is planned for \(host)."
                return close(after: .failed(Failure(.internalError, text)))
            }
            awaited = Set(plan.channels.filter { own.contains($0.receiver) })
            deadline = now + plan.budget
            phase = .arming
            return [.arm(plan)]
        case (.armed, .probe):
            phase = .probing
            repetition = now + Self.probeInterval
            return [.sendProbes] + endProbingIfComplete()
        case (_, .end): return close(after: nil)
        default:
            let text = "\(host) was told of a path test what does not fit it: manager and agent disagree."
            return close(after: .failed(Failure(.internalError, text)))
        }
    }

    private mutating func endProbingIfComplete() -> [Action] {
        guard phase == .probing, awaited.isEmpty else { return [] }
        // The others may still wait for a probe of ours, so that they go on being sent until the end.
        phase = .heard
        return [.report(.heard)]
    }

    private mutating func close(after report: PathTestReport?) -> [Action] {
        let reports = report.map { [Action.report($0)] } ?? []
        switch phase {
        case .ending, .finished: return []
        case .idle:
            phase = .finished
            return reports + [.report(.ended([])), .end]
        default:
            phase = .ending
            repetition = nil
            deadline = nil
            return [.close] + reports
        }
    }

    private mutating func ticked(at now: Tick) -> [Action] {
        if let deadline, now >= deadline {
            let text = "\(host) has ended the path test, whose time was spent. See whether the other hosts answer."
            return close(after: .failed(Failure(.deadline, text)))
        }
        guard let repetition, now >= repetition else { return [] }
        self.repetition = now + Self.probeInterval
        return [.sendProbes]
    }
}

extension PathTestPlan {
    /// Longest time for which a path test may keep gates armed, in milliseconds.
    package static let longestBudget: UInt64 = 60_000

    /// One sentence; nil when the plan can be used without further thought.
    package var flaw: String? {
        if Set(members.map(\.name)).count != members.count { return "The plan names a member twice." }
        if budget > Self.longestBudget { return "The plan would keep gates armed for \(budget) milliseconds." }
        return nil
    }
}
