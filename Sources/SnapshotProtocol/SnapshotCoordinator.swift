/// The manager's side of one epoch: decides what every host is told next, and whether there is a snapshot in the end.
///
/// Prepare, arm, flush, cut, settle, release, save, seal. Each step is a barrier: the next begins when *all* hosts have
/// reported the former. Hold mode leaves `settle` out when no marker is missing; colour mode, when the flush shows that a
/// path does not keep the colour, goes on with arming in hold mode. From every step there is one way out, the abort,
/// which ends when every reachable host has said that nothing of the epoch is left on it.
package struct SnapshotCoordinator: Sendable {
    package enum Phase: String, Sendable, Hashable, CaseIterable {
        case idle, preparing, arming, flushing, cutting, settling, releasing, saving, sealing, finishing, aborting
        case finished
    }

    /// Longest stay in each phase, in milliseconds.
    package struct Deadlines: Sendable, Hashable {
        package var prepare: UInt64 = 60_000
        /// From arm to release no phase may outlast the gates' own watchdogs by more than this.
        package var afterHoldBudget: UInt64 = 2_000
        package var save: UInt64 = 3_600_000
        package var finish: UInt64 = 60_000
        package var abort: UInt64 = 30_000

        package init() {}
    }

    package enum Event: Sendable, Hashable {
        case start
        case report(SnapshotReport, from: HostName)
        case hostLost(HostName)
        case manifestWritten
        case manifestFailed(Failure)
        case cancel
        case tick
    }

    package enum Outcome: Sendable, Hashable {
        case sealed([MemberEvidence], Verdict, SnapshotMode)
        case aborted(Failure)
    }

    package enum Action: Sendable, Hashable {
        case send(SnapshotCommand, to: HostName)
        case enter(Phase)
        /// The epoch goes on in hold mode. For people: why.
        case fallBack(reason: String)
        /// Write the manifest, then answer with `manifestWritten` or `manifestFailed`.
        case seal([MemberEvidence], Verdict, SnapshotMode)
        /// Remove what the hosts have stored of the epoch.
        case discard
        case finished(Outcome)
    }

    package let plan: SnapshotPlan
    package private(set) var phase: Phase = .idle

    /// The mode in effect: that of the plan, until the epoch falls back.
    private var mode: SnapshotMode
    private let hosts: [HostName]
    private let deadlines: Deadlines
    /// Hosts whose report of the present phase is still to come.
    private var pending: Set<HostName> = []
    private var lost: Set<HostName> = []
    /// Hosts on which nothing of the epoch is left.
    private var clean: Set<HostName> = []
    private var saved: Set<HostName> = []
    private var deadline: Tick?
    private var failure: Failure?
    private var missing: [Channel] = []
    private var bleached: [Channel] = []
    private var cuts: [MemberName: MemberCut] = [:]
    private var gates: [MemberName: GateAttestation] = [:]
    private var stored: [MemberName: StoredMember] = [:]
    private var evidence: [MemberEvidence] = []
    private var verdict: Verdict?

    package init(plan: SnapshotPlan, deadlines: Deadlines = Deadlines()) {
        self.plan = plan
        self.deadlines = deadlines
        mode = plan.mode
        hosts = Set(plan.members.map(\.host)).sorted()
    }

    package mutating func handle(_ event: Event, at now: Tick) -> [Action] {
        switch event {
        case .start: start(at: now)
        case .report(let report, let host): received(report, from: host, at: now)
        case .hostLost(let host): lose(host, at: now)
        case .manifestWritten: manifestWritten(at: now)
        case .manifestFailed(let failure): phase == .sealing ? abort(failure, at: now) : []
        case .cancel: cancel(at: now)
        case .tick: ticked(at: now)
        }
    }

    // MARK: The way through

    private mutating func start(at now: Tick) -> [Action] {
        guard phase == .idle else { return [] }
        guard !hosts.isEmpty else {
            return finish(.aborted(Failure(.usage, "The cluster has no member; add one before taking a snapshot.")))
        }
        return enter(.preparing, telling: .prepare(plan), until: now + deadlines.prepare)
    }

    private mutating func received(_ report: SnapshotReport, from host: HostName, at now: Tick) -> [Action] {
        guard hosts.contains(host), phase != .idle, phase != .finished else { return [] }
        switch report {
        case .aborted: return wasCleaned(host, at: now)
        // While the manifest is being written nothing that a host says can undo it: all parts are stored already, and
        // an abort could remove what a manifest lists a moment later.
        case .failed where phase == .sealing, .refused where phase == .sealing: return []
        case .failed(let failure): return abort(failure, at: now)
        case .refused(let failures):
            return abort(failures.first ?? Failure(.internalError, "\(host) refused without a reason."), at: now)
        case .saved(let members) where phase == .releasing && !pending.contains(host):
            // Each host stores as soon as its own gates are open, and may be ready before the last one has released.
            remember(members, of: host)
            return []
        default: break
        }
        guard expects(report), pending.contains(host) else { return [] }
        switch report {
        case .flushed(_, let missing, let bleached):
            self.missing += missing
            self.bleached += bleached
        case .cut(let records):
            for record in records where lives(record.member, on: host) { cuts[record.member] = record }
        case .released(let attestations):
            for attestation in attestations where lives(attestation.member, on: host) {
                gates[attestation.member] = attestation
            }
        case .saved(let members): remember(members, of: host)
        default: break
        }
        pending.remove(host)
        return pending.isEmpty ? advance(at: now) : []
    }

    private mutating func remember(_ members: [StoredMember], of host: HostName) {
        saved.insert(host)
        for member in members where lives(member.member, on: host) { stored[member.member] = member }
    }

    /// A host is believed about its own members only.
    private func lives(_ member: MemberName, on host: HostName) -> Bool {
        plan.members.contains { $0.name == member && $0.host == host }
    }

    /// Whether `report` is the one that the present phase waits for.
    private func expects(_ report: SnapshotReport) -> Bool {
        switch (phase, report) {
        case (.preparing, .prepared), (.cutting, .cut), (.settling, .settled), (.releasing, .released),
            (.saving, .saved), (.finishing, .sealed):
            true
        case (.arming, .armed(let armed)): armed == mode
        case (.flushing, .flushed(let flushed, _, _)): flushed == mode
        default: false
        }
    }

    /// The barrier: every host has reported the present phase.
    private mutating func advance(at now: Tick) -> [Action] {
        switch phase {
        case .preparing: return enter(.arming, telling: .arm(mode), until: gateDeadline(at: now))
        case .arming: return enter(.flushing, telling: .flush, until: gateDeadline(at: now))
        case .flushing:
            if mode == .colour, !missing.isEmpty || !bleached.isEmpty { return fallBack(at: now) }
            return enter(.cutting, telling: .cut, until: gateDeadline(at: now))
        case .cutting:
            // In hold mode, with every channel proven empty nothing late can arrive, so nothing that is released can be
            // mistaken for it. Otherwise the logs are closed everywhere before the first gate opens.
            return mode == .hold && missing.isEmpty
                ? enter(.releasing, telling: .release, until: gateDeadline(at: now))
                : enter(.settling, telling: .settle, until: gateDeadline(at: now))
        case .settling: return enter(.releasing, telling: .release, until: gateDeadline(at: now))
        case .releasing:
            let actions = enter(.saving, telling: nil, until: now + deadlines.save)
            pending.subtract(saved)
            return pending.isEmpty ? actions + judge(at: now) : actions
        case .saving: return judge(at: now)
        case .finishing: return finish(.sealed(evidence, verdict!, mode))
        case .idle, .sealing, .aborting, .finished: return []
        }
    }

    /// No member has been cut: nothing of colour mode is left but gates that are live already.
    private mutating func fallBack(at now: Tick) -> [Action] {
        let reason =
            bleached.isEmpty
            ? "No marker arrived on \(missing.list): nothing shows that the path keeps the colour."
            : "The path of \(bleached.list) takes the colour off."
        mode = .hold
        missing = []
        bleached = []
        return [.fallBack(reason: reason)] + enter(.arming, telling: .arm(.hold), until: gateDeadline(at: now))
    }

    private mutating func judge(at now: Tick) -> [Action] {
        evidence = []
        for member in plan.members {
            guard let cut = cuts[member.name], let gate = gates[member.name], let parts = stored[member.name] else {
                let text = "\(member.host) reported no cut, gate or parts of this member. Update the agent there."
                return abort(Failure(.internalError, member: member.name, text), at: now)
            }
            evidence.append(MemberEvidence(member: member, cut: cut, gate: gate, stored: parts))
        }
        let verdict = Verdict.judge(evidence, mode: mode)
        self.verdict = verdict
        guard verdict.consistent else {
            return abort(Failure(.gateBroken, verdict.reasons.joined(separator: " ")), at: now)
        }
        phase = .sealing
        pending = []
        deadline = nil
        return [.enter(.sealing), .seal(evidence, verdict, mode)]
    }

    private mutating func manifestWritten(at now: Tick) -> [Action] {
        guard phase == .sealing else { return [] }
        let actions = enter(.finishing, telling: .seal, until: now + deadlines.finish)
        return pending.isEmpty ? actions + finish(.sealed(evidence, verdict!, mode)) : actions
    }

    // MARK: The way out

    private mutating func abort(_ failure: Failure, at now: Tick) -> [Action] {
        switch phase {
        case .finished, .finishing, .aborting: return []
        case .idle: return finish(.aborted(failure))
        default: break
        }
        self.failure = failure
        phase = .aborting
        deadline = now + deadlines.abort
        pending = Set(hosts).subtracting(lost).subtracting(clean)
        let sends = pending.sorted().map { Action.send(.abort(reason: failure.description), to: $0) }
        return [.enter(.aborting)] + sends + (pending.isEmpty ? finishAbort() : [])
    }

    private mutating func finishAbort() -> [Action] {
        [.discard] + finish(.aborted(failure ?? Failure(.aborted, "The epoch was given up.")))
    }

    private mutating func wasCleaned(_ host: HostName, at now: Tick) -> [Action] {
        clean.insert(host)
        switch phase {
        case .aborting:
            pending.remove(host)
            return pending.isEmpty ? finishAbort() : []
        case .finishing:
            // Sealed already: what that host undid was only its own scaffolding.
            pending.remove(host)
            return pending.isEmpty ? advance(at: now) : []
        case .sealing: return []
        default: return abort(Failure(.aborted, "\(host) gave the epoch up."), at: now)
        }
    }

    private mutating func lose(_ host: HostName, at now: Tick) -> [Action] {
        guard hosts.contains(host), phase != .finished else { return [] }
        lost.insert(host)
        switch phase {
        case .aborting:
            pending.remove(host)
            return pending.isEmpty ? finishAbort() : []
        case .finishing:
            pending.remove(host)
            return pending.isEmpty ? advance(at: now) : []
        case .sealing: return []
        default:
            let text = "The connection to \(host) was lost while the snapshot was being taken. Its guests run on; "
            return abort(Failure(.hostUnavailable, text + "take the snapshot again when the host is back."), at: now)
        }
    }

    private mutating func cancel(at now: Tick) -> [Action] {
        phase == .sealing ? [] : abort(Failure(.cancelled, "The snapshot was cancelled."), at: now)
    }

    private mutating func ticked(at now: Tick) -> [Action] {
        guard let deadline, now >= deadline else { return [] }
        switch phase {
        case .aborting: return finishAbort()
        case .finishing: return finish(.sealed(evidence, verdict!, mode))
        default:
            let names = pending.sorted().map(\.rawValue).joined(separator: ", ")
            return abort(Failure(.deadline, "\(names) did not finish \(phase.rawValue) in time."), at: now)
        }
    }

    // MARK: Steps

    private func gateDeadline(at now: Tick) -> Tick {
        now + (mode == .hold ? plan.holdBudget : plan.colourBudget) + deadlines.afterHoldBudget
    }

    private mutating func enter(_ next: Phase, telling command: SnapshotCommand?, until deadline: Tick) -> [Action] {
        phase = next
        self.deadline = deadline
        pending = Set(hosts).subtracting(lost).subtracting(clean)
        guard let command else { return [.enter(next)] }
        return [.enter(next)] + pending.sorted().map { .send(command, to: $0) }
    }

    private mutating func finish(_ outcome: Outcome) -> [Action] {
        phase = .finished
        pending = []
        deadline = nil
        return [.enter(.finished), .finished(outcome)]
    }
}

extension [Channel] {
    fileprivate var list: String { sorted().map(\.description).joined(separator: ", ") }
}
