/// A host agent's side of a restore. On every way out but `finish` nothing that was loaded remains, and no fence.
package struct RestoreParticipant: Sendable {
    package enum Phase: String, Sendable, Hashable, CaseIterable {
        case idle, fencing, fenced, loading, loaded, replaying, replayed, opening, opened, starting, started
        case discarding, finished
    }

    package enum Event: Sendable, Hashable {
        case command(RestoreCommand)
        case fenced
        /// Originals run here, and the plan does not replace them.
        case originalsRunning([Failure])
        case memberLoaded(MemberName)
        case memberReplayed(MemberName, segments: UInt64)
        case opened
        case memberStarted(MemberName)
        case memberDiscarded(MemberName)
        case fenceLifted
        case failed(Failure)
        case managerLost
    }

    /// What the driver must do, for each member and for the fence in the order given. `discard` and `liftFence` cannot
    /// fail: whatever happens on their way, they are answered, for nothing else ends the machine.
    package enum Action: Sendable, Hashable {
        /// Drop everything that carries a member's address; then stop what of the plan runs here, if it may be.
        case fence(RestorePlan)
        /// Load a member paused.
        case load(RestoredMember)
        /// Write what the logs hold for this member into its taps.
        case replay(RestoredMember)
        /// Lift the fence, announce this host's members.
        case open
        case start(MemberName)
        /// Destroy what was loaded of this member and remove its files.
        case discard(MemberName)
        case liftFence
        case report(RestoreReport)
        /// The members run from the new timeline: keep their files.
        case commit
        case end
    }

    package let host: HostName
    package private(set) var phase: Phase = .idle
    private var plan: RestorePlan?
    private var members: [RestoredMember] = []
    private var waiting: Set<MemberName> = []
    private var segments: UInt64 = 0
    private var fenceStanding = false
    private var failed = false

    package init(host: HostName) { self.host = host }

    package mutating func handle(_ event: Event) -> [Action] {
        if phase == .finished { return [] }
        switch event {
        case .command(let command): return commanded(command)
        case .fenced:
            guard phase == .fencing else { return [] }
            phase = .fenced
            return [.report(.fenced)]
        case .originalsRunning(let failures):
            guard phase == .fencing else { return [] }
            phase = .fenced
            return [.report(.refused(failures))]
        case .memberLoaded(let name):
            return step(name, in: .loading, to: .loaded) { _ in .loaded }
        case .memberReplayed(let name, let count):
            if phase == .replaying { segments += count }
            return step(name, in: .replaying, to: .replayed) { .replayed(segments: $0.segments) }
        case .opened:
            guard phase == .opening else { return [] }
            fenceStanding = false
            phase = .opened
            return [.report(.opened)]
        case .memberStarted(let name):
            return step(name, in: .starting, to: .started) { _ in .started }
        case .memberDiscarded(let name):
            guard phase == .discarding else { return [] }
            waiting.remove(name)
            return endDiscardIfClean()
        case .fenceLifted:
            guard phase == .discarding else { return [] }
            fenceStanding = false
            return endDiscardIfClean()
        case .failed(let failure):
            guard phase != .discarding, !failed else { return [] }
            failed = true
            return [.report(.failed(failure))]
        case .managerLost:
            // Also when the members run already: only `finish` says that those of all other hosts do. A manager that
            // misses this host has them all discarded, and one that died can tell nobody to finish.
            return discard()
        }
    }

    private mutating func commanded(_ command: RestoreCommand) -> [Action] {
        switch (phase, command) {
        case (.idle, .fence(let plan)):
            if let flaw = plan.flaw {
                phase = .finished
                return [.report(.failed(Failure(.usage, flaw))), .report(.discarded), .end]
            }
            self.plan = plan
            members = plan.members(on: host)
            phase = .fencing
            fenceStanding = true
            return [.fence(plan)]
        case (.idle, .discard), (.idle, .finish):
            phase = .finished
            return [.report(.discarded), .end]
        case (.fenced, .load):
            phase = .loading
            waiting = Set(members.map(\.name))
            return members.map { .load($0) }
        case (.loaded, .replay):
            phase = .replaying
            waiting = Set(members.map(\.name))
            guard plan?.replayLogs == true else {
                phase = .replayed
                return [.report(.replayed(segments: 0))]
            }
            return members.map { .replay($0) }
        case (.replayed, .open), (.fenced, .open):
            phase = .opening
            return [.open]
        case (.opened, .start):
            phase = .starting
            waiting = Set(members.map(\.name))
            return members.map { .start($0.name) }
        case (.started, .finish), (.opened, .finish):
            phase = .finished
            return [.commit, .report(.finished), .end]
        case (.discarding, .discard): return []
        case (_, .discard): return discard()
        default:
            guard !failed else { return [] }
            failed = true
            let text = "\(host) got a restore command out of order while \(phase.rawValue)."
            return [.report(.failed(Failure(.internalError, text)))]
        }
    }

    private mutating func step(
        _ name: MemberName, in present: Phase, to next: Phase, report: (borrowing RestoreParticipant) -> RestoreReport
    ) -> [Action] {
        guard phase == present else { return [] }
        waiting.remove(name)
        guard waiting.isEmpty else { return [] }
        phase = next
        return [.report(report(self))]
    }

    private mutating func discard() -> [Action] {
        switch phase {
        case .discarding, .finished: return []
        case .idle:
            phase = .finished
            return [.end]
        default: break
        }
        let touched = phase != .fencing && phase != .fenced
        phase = .discarding
        waiting = touched ? Set(members.map(\.name)) : []
        return (touched ? members.map { .discard($0.name) } : []) + [.liftFence]
    }

    private mutating func endDiscardIfClean() -> [Action] {
        guard waiting.isEmpty, !fenceStanding else { return [] }
        phase = .finished
        return [.report(.discarded), .end]
    }
}
