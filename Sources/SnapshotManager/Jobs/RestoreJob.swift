import Logging
import SnapshotProtocol
import WireProtocol

/// Performs what the coordinator of one restore decides, and tells it what happened.
struct RestoreJob: Sendable {
    let id: UInt64
    let plan: RestorePlan
    /// All connected hosts: each of them is fenced.
    let sessions: [HostName: AgentSession]
    let progress: @Sendable (RestoreProgress) -> Void
    let logger: Logger

    private let events: AsyncStream<RestoreCoordinator.Event>
    private let queue: AsyncStream<RestoreCoordinator.Event>.Continuation

    init(
        id: UInt64, plan: RestorePlan, sessions: [HostName: AgentSession],
        progress: @escaping @Sendable (RestoreProgress) -> Void, logger: Logger
    ) {
        self.id = id
        self.plan = plan
        self.sessions = sessions
        self.progress = progress
        self.logger = logger
        (events, queue) = AsyncStream.makeStream(of: RestoreCoordinator.Event.self)
    }

    func cancel() { queue.yield(.cancel) }

    /// Runs the restore to its end, and says how many nanoseconds it took. Not for a task that may be cancelled.
    func run() async -> (outcome: RestoreCoordinator.Outcome, duration: UInt64) {
        let clock = JobClock()
        var coordinator = RestoreCoordinator(plan: plan, reachable: Array(sessions.keys))
        listen()
        defer { stopListening() }
        let ticker = Task { [queue] in
            while (try? await Task.sleep(for: JobClock.period)) != nil { queue.yield(.tick) }
        }
        defer { ticker.cancel() }
        queue.yield(.start)
        for await event in events {
            for action in coordinator.handle(event, at: clock.now) {
                switch action {
                case .send(let command, let host): sessions[host]?.send(.restore(id: id, command))
                case .enter(let phase):
                    logger.debug(
                        "Restore enters a phase", metadata: ["phase": "\(phase)", "ms": "\(clock.now.rawValue)"])
                    progress(.phase(phase.rawValue))
                case .finished(let outcome): return (outcome, UInt64(clamping: clock.nanoseconds))
                }
            }
        }
        let failure = Failure(.internalError, "The restore's events ended before it did.")
        return (.failed(failure), UInt64(clamping: clock.nanoseconds))
    }

    private func listen() {
        for (host, session) in sessions {
            session.listen(to: .restore(id: id)) { [queue] event in
                switch event {
                case .message(.restore(_, let report)): queue.yield(.report(report, from: host))
                case .message: break
                case .lost: queue.yield(.hostLost(host))
                }
            }
        }
    }

    private func stopListening() {
        for session in sessions.values { session.stopListening(to: .restore(id: id)) }
    }
}
