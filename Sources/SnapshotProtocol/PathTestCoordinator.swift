/// The manager's side of one path test: arm, probe, end. The first step is a barrier, so that no probe meets a gate
/// that is not armed and gets to a guest. Every wait has a bound, and every way out tells all hosts to end.
package struct PathTestCoordinator: Sendable {
    package enum Phase: String, Sendable, Hashable, CaseIterable {
        case idle, arming, probing, ending, finished
    }

    package enum Event: Sendable, Hashable {
        case start
        case report(PathTestReport, from: HostName)
        case hostLost(HostName)
        /// A job of the cluster goes before it, or whoever asked is gone.
        case cancel
        case tick
    }

    package enum Action: Sendable, Hashable {
        case send(PathTestCommand, to: HostName)
        case finished(Outcome)
    }

    package struct Outcome: Sendable, Hashable {
        /// Whether probes were sent: only then does it say something that none arrived.
        package var probed = false
        package var arrivals: [ProbeArrival] = []
        /// Hosts on which the test could not be made, and why.
        package var failures: [HostName: Failure] = [:]
        package var isCancelled = false

        package init() {}
    }

    /// Milliseconds.
    package struct Bounds: Sendable, Hashable {
        package var arm: UInt64
        package var probe: UInt64
        package var end: UInt64

        package init(arm: UInt64 = 5_000, probe: UInt64 = 1_500, end: UInt64 = 5_000) {
            self.arm = arm
            self.probe = probe
            self.end = end
        }

        /// After which agents open their gates by themselves.
        package var budget: UInt64 { arm + probe + 1_000 }
    }

    package let plan: PathTestPlan
    package private(set) var phase: Phase = .idle
    private let hosts: [HostName]
    private let bounds: Bounds
    private var pending: Set<HostName> = []
    /// Hosts of which nothing more is to be expected.
    private var gone: Set<HostName> = []
    private var deadline: Tick?
    private var outcome = Outcome()

    package init(plan: PathTestPlan, bounds: Bounds = Bounds()) {
        self.plan = plan
        self.bounds = bounds
        hosts = Set(plan.members.map(\.host)).sorted()
    }

    package mutating func handle(_ event: Event, at now: Tick) -> [Action] {
        if phase == .finished { return [] }
        switch event {
        case .start:
            guard phase == .idle else { return [] }
            phase = .arming
            pending = Set(hosts)
            deadline = now + bounds.arm
            return hosts.map { .send(.arm(plan), to: $0) } + advance(at: now)
        case .report(let report, let host): return reported(report, from: host, at: now)
        case .hostLost(let host): return wasLost(host, at: now)
        case .cancel:
            outcome.isCancelled = true
            return end(at: now)
        case .tick: return ticked(at: now)
        }
    }

    private mutating func reported(_ report: PathTestReport, from host: HostName, at now: Tick) -> [Action] {
        guard hosts.contains(host), !gone.contains(host) else { return [] }
        switch (report, phase) {
        case (.armed, .arming), (.heard, .probing):
            pending.remove(host)
            return advance(at: now)
        case (.failed(let failure), _):
            if outcome.failures[host] == nil { outcome.failures[host] = failure }
            return end(at: now)
        case (.ended(let arrivals), _):
            let known = Set(plan.channels)
            let own = Set(plan.members(on: host).map(\.name))
            // Each host speaks for its own members only.
            outcome.arrivals += arrivals.filter { known.contains($0.channel) && own.contains($0.channel.receiver) }
            // Its last word, whether it was asked for or not.
            gone.insert(host)
            pending.remove(host)
            return end(at: now) + advance(at: now)
        default: return []
        }
    }

    private mutating func wasLost(_ host: HostName, at now: Tick) -> [Action] {
        guard hosts.contains(host), gone.insert(host).inserted else { return [] }
        let text = "The connection to \(host) was lost in the middle of the path test. Try again."
        if outcome.failures[host] == nil { outcome.failures[host] = Failure(.hostUnavailable, text) }
        pending.remove(host)
        return end(at: now) + advance(at: now)
    }

    /// To the next step, when all hosts have taken this one.
    private mutating func advance(at now: Tick) -> [Action] {
        guard pending.isEmpty else { return [] }
        switch phase {
        case .arming where !hosts.isEmpty:
            phase = .probing
            outcome.probed = true
            pending = Set(hosts)
            deadline = now + bounds.probe
            return hosts.map { .send(.probe, to: $0) }
        case .arming, .probing: return end(at: now)
        case .ending:
            phase = .finished
            return [.finished(outcome)]
        case .idle, .finished: return []
        }
    }

    private mutating func end(at now: Tick) -> [Action] {
        guard phase != .ending, phase != .finished else { return [] }
        let wasStarted = phase != .idle
        phase = .ending
        pending = wasStarted ? Set(hosts).subtracting(gone) : []
        deadline = now + bounds.end
        return pending.sorted().map { .send(.end, to: $0) } + advance(at: now)
    }

    private mutating func ticked(at now: Tick) -> [Action] {
        guard let deadline, now >= deadline else { return [] }
        switch phase {
        case .probing: return end(at: now)
        case .arming, .ending:
            for host in pending where outcome.failures[host] == nil {
                let text =
                    "\(host) did not answer in time. See the log of its agent, and run the same version of Holdfast "
                    + "there and on the manager."
                outcome.failures[host] = Failure(.deadline, text)
            }
            if phase == .arming { return end(at: now) }
            pending = []
            return advance(at: now)
        case .idle, .finished: return []
        }
    }
}
