import SnapshotProtocol
import WireProtocol

/// Performs what the coordinator of one path test decides, and tells it what happened.
struct PathTestJob: Sendable {
    let plan: PathTestPlan
    /// Of the members' hosts.
    let sessions: [HostName: AgentSession]
    private let bounds: PathTestCoordinator.Bounds
    private let events: AsyncStream<PathTestCoordinator.Event>
    private let queue: AsyncStream<PathTestCoordinator.Event>.Continuation

    init(cluster: String, members: [PlannedMember], sessions: [HostName: AgentSession]) {
        var generator = SystemRandomNumberGenerator()
        bounds = PathTestCoordinator.Bounds()
        plan = PathTestPlan(
            id: UInt64.random(in: 1 ... .max), cluster: cluster, members: members,
            markerKey: (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) },
            budget: bounds.budget)
        self.sessions = sessions
        (events, queue) = AsyncStream.makeStream(of: PathTestCoordinator.Event.self)
    }

    func cancel() { queue.yield(.cancel) }

    /// Runs the test to its end. Not for a task that may be cancelled: its end must be told too.
    func run() async -> PathTestCoordinator.Outcome {
        let clock = JobClock()
        var coordinator = PathTestCoordinator(plan: plan, bounds: bounds)
        listen()
        defer { for session in sessions.values { session.stopListening(to: .pathTest(id: plan.id)) } }
        let ticker = Task { [queue] in
            while (try? await Task.sleep(for: JobClock.period)) != nil { queue.yield(.tick) }
        }
        defer { ticker.cancel() }
        queue.yield(.start)
        for await event in events {
            for action in coordinator.handle(event, at: clock.now) {
                switch action {
                case .send(let command, let host): sessions[host]?.send(.pathTest(id: plan.id, command))
                case .finished(let outcome): return outcome
                }
            }
        }
        return PathTestCoordinator.Outcome()
    }

    private func listen() {
        for (host, session) in sessions {
            session.listen(to: .pathTest(id: plan.id)) { [queue] event in
                switch event {
                case .message(.pathTest(_, let report)): queue.yield(.report(report, from: host))
                case .message: break
                case .lost: queue.yield(.hostLost(host))
                }
            }
        }
    }
}
