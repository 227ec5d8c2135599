import Logging
import SnapshotProtocol
import SnapshotStore
import WireProtocol

/// Performs what the coordinator of one epoch decides, and tells it what happened.
struct SnapshotJob: Sendable {
    let plan: SnapshotPlan
    /// The sessions of the members' hosts. A session that is replaced meanwhile is a lost host: its agent has given
    /// the epoch up.
    let sessions: [HostName: AgentSession]
    let repository: DirectoryRepository
    /// Nanoseconds since 1970.
    let createdAt: UInt64
    let progress: @Sendable (SnapshotProgress) -> Void
    let logger: Logger

    private let events: AsyncStream<SnapshotCoordinator.Event>
    private let queue: AsyncStream<SnapshotCoordinator.Event>.Continuation

    init(
        plan: SnapshotPlan, sessions: [HostName: AgentSession], repository: DirectoryRepository, createdAt: UInt64,
        progress: @escaping @Sendable (SnapshotProgress) -> Void, logger: Logger
    ) {
        self.plan = plan
        self.sessions = sessions
        self.repository = repository
        self.createdAt = createdAt
        self.progress = progress
        self.logger = logger
        (events, queue) = AsyncStream.makeStream(of: SnapshotCoordinator.Event.self)
    }

    func cancel() { queue.yield(.cancel) }

    /// Runs the epoch to its end. Not for a task that may be cancelled: the way out must be gone to its end too.
    func run() async -> SnapshotCoordinator.Outcome {
        let clock = JobClock()
        var coordinator = SnapshotCoordinator(plan: plan)
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
                case .send(let command, let host):
                    sessions[host]?.send(.snapshot(cluster: plan.cluster, epoch: plan.epoch, command))
                case .enter(let phase):
                    logger.debug(
                        "Epoch enters a phase", metadata: ["phase": "\(phase)", "ms": "\(clock.now.rawValue)"])
                    progress(.phase(phase.rawValue))
                case .fallBack(let reason):
                    logger.warning("Epoch goes on in hold mode", metadata: ["why": "\(reason)"])
                    progress(.fallBack(reason: reason))
                case .seal(let evidence, _, let mode): seal(evidence, mode)
                case .discard: await discard()
                case .finished(let outcome): return outcome
                }
            }
        }
        return .aborted(Failure(.internalError, "The epoch's events ended before it did."))
    }

    private var topic: AgentSession.Topic { .epoch(cluster: plan.cluster, plan.epoch) }

    private func listen() {
        for (host, session) in sessions {
            session.listen(to: topic) { [queue, progress] event in
                switch event {
                case .message(.snapshot(_, _, let report)): queue.yield(.report(report, from: host))
                case .message(.progress(_, _, let member, let stored, let total)):
                    progress(.stored(member: member, bytes: stored, total: total))
                case .message: break
                case .lost: queue.yield(.hostLost(host))
                }
            }
        }
    }

    private func stopListening() {
        for session in sessions.values { session.stopListening(to: topic) }
    }

    /// Beside the loop: agents may report while the disk works.
    private func seal(_ evidence: [MemberEvidence], _ mode: SnapshotMode) {
        let manifest = SnapshotManifest(
            id: plan.snapshot, cluster: plan.cluster, epoch: plan.epoch, mode: mode, createdAt: createdAt,
            members: evidence)
        Task { [repository, queue] in
            do throws(StoreError) {
                try await BlockingWork.run { () throws(StoreError) in try repository.seal(manifest) }
                queue.yield(.manifestWritten)
            } catch {
                queue.yield(.manifestFailed(error.failure))
            }
        }
    }

    private func discard() async {
        let id = plan.snapshot
        do throws(StoreError) {
            _ = try await BlockingWork.run { [repository] () throws(StoreError) in try repository.discard(id) }
        } catch {
            // What is left is unsealed, so nobody sees it; the next start of the manager collects it.
            logger.error(
                "What an aborted epoch stored could not be removed", metadata: ["snapshot": "\(id)", "why": "\(error)"])
        }
    }
}
