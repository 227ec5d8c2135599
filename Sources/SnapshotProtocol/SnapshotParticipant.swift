/// A host agent's side of one epoch, for all members that run on that host.
///
/// Whatever happens, the machine ends in `finished`, and on every way there the gates have been opened and every
/// member has been given back (`finish` or `abandon`). It needs nobody's permission for that.
package struct SnapshotParticipant: Sendable {
    package enum Phase: String, Sendable, Hashable, CaseIterable {
        case idle, preparing, prepared, arming, armed, flushing, flushed, cutting, cut, settling, releasing, saving
        case saved, sealing, aborting, finished
    }

    package enum Event: Sendable, Hashable {
        case command(SnapshotCommand)
        case memberPrepared(MemberName)
        case memberRefused(Failure)
        case gatesArmed
        /// `beforeCut`: its receiver had not been cut when it came.
        case markerArrived(Channel, MarkerKind = .flush, bleached: Bool = false, beforeCut: Bool = false)
        case memberCut(MemberCut)
        case gatesReleased([GateAttestation])
        case memberStored(StoredMember)
        case memberFinished(MemberName)
        case memberAbandoned(MemberName)
        case gatesOpened
        /// An action could not be performed, or a gate broke: watchdog, overflow, foreign rule change, tap gone.
        case failed(Failure)
        case managerLost
        case tick
    }

    /// What the driver must do. `finish`, `abandon` and `openGates` cannot fail: whatever happens on their way, they
    /// are answered, for nothing else ends the machine. Actions for one member, and those for the gates, are done one
    /// after the other in the order given; an `abandon` may cancel what still goes on for its member.
    package enum Action: Sendable, Hashable {
        /// Look whether the member can be snapshotted and make ready what is slow. Nothing is frozen yet.
        case prepare(PlannedMember)
        /// Make the gates of all members of this host live in one atomic change: closed in hold mode, open and
        /// watching in colour mode. Comes a second time, for `hold`, when colour mode is given up.
        case armGates(SnapshotMode)
        /// Send a marker on every channel whose sender is one of these members. Comes again and again in colour mode.
        case sendMarkers(MarkerKind, from: [MemberName])
        /// From now on hold what arrives coloured for a member that has not been cut. It must be done before the report
        /// that follows it is sent, and is not answered.
        case heedColour
        /// Freeze the member, note the place in its held queue, start the image, let it run again.
        case cut(MemberName)
        /// Take nothing that arrives from now on into the logs. It must be done before the report that follows it is
        /// sent, and is not answered. Comes once or twice, after the cuts of this host.
        case stopLateLog
        /// Send out what is held, in order, colour nothing more and open the gates; then attest.
        case releaseGates
        /// Store image, disks and log.
        case store(MemberName)
        case finish(MemberName)
        /// Open the gates at once, without attesting anything. Never waits for anything else.
        case openGates
        /// Cancel whatever goes on for this member, let it run, give it its disks back. What is stored already stays:
        /// a manifest may list it by now, and the manager alone knows; its `discard` removes it.
        case abandon(MemberName)
        case report(SnapshotReport)
        /// The machine has ended: drop it.
        case end
    }

    package let host: HostName
    package private(set) var phase: Phase = .idle
    private var plan: SnapshotPlan?
    private var members: [MemberName] = []
    private var waiting: Set<MemberName> = []
    private var refusals: [Failure] = []
    private var mode = SnapshotMode.hold
    private var markers = MarkerLedger()
    /// The end of the wait for markers.
    private var markerDeadline: Tick?
    /// When markers go out again.
    private var repetition: Tick?
    private var cutOrdered = false
    private var lateLogStopped = false
    private var cuts: [MemberName: MemberCut] = [:]
    private var stored: [MemberName: StoredMember] = [:]
    private var gatesOpening = false

    package init(host: HostName) { self.host = host }

    package mutating func handle(_ event: Event, at now: Tick) -> [Action] {
        if phase == .finished { return [] }
        switch event {
        case .command(let command): return commanded(command, at: now)
        case .memberPrepared(let name): return prepared(name)
        case .memberRefused(let failure): return refused(failure)
        case .gatesArmed: return gatesArmed()
        case .markerArrived(let channel, let kind, let bleached, let beforeCut):
            return marker(kind, on: channel, bleached: bleached, beforeCut: beforeCut)
        case .memberCut(let cut): return wasCut(cut, at: now)
        case .gatesReleased(let attestations): return released(attestations)
        case .memberStored(let member): return wasStored(member)
        case .memberFinished(let name): return wasFinished(name)
        case .memberAbandoned(let name): return wasAbandoned(name)
        case .gatesOpened:
            gatesOpening = false
            return phase == .aborting ? endAbortIfClean() : []
        case .failed(let failure): return giveUp(reporting: .failed(failure))
        case .managerLost: return giveUp(reporting: nil)
        case .tick: return ticked(at: now)
        }
    }

    // MARK: Commands

    private mutating func commanded(_ command: SnapshotCommand, at now: Tick) -> [Action] {
        switch (phase, command) {
        case (.idle, .prepare(let plan)):
            if let flaw = plan.flaw { return giveUp(reporting: .failed(Failure(.usage, flaw))) }
            self.plan = plan
            members = plan.members(on: host).map(\.name)
            markers = MarkerLedger(plan.channels(into: host))
            phase = .preparing
            waiting = Set(members)
            guard !members.isEmpty else {
                return giveUp(
                    reporting: .failed(Failure(.internalError, "No member of \(plan.cluster) is planned for \(host).")))
            }
            return plan.members(on: host).map { .prepare($0) }
        case (.prepared, .arm(let mode)): return arm(mode)
        case (.flushed, .arm(.hold)) where mode == .colour: return arm(.hold)
        case (.armed, .flush):
            phase = .flushing
            markerDeadline = now + markerBound
            return send(mode == .hold ? .flush : .probe, from: members, at: now) + endFlushIfComplete()
        case (.flushed, .cut):
            cutOrdered = true
            return beginCut()
        case (.cutting, .cut) where !cutOrdered, (.cut, .cut) where !cutOrdered:
            // The marker of another member's cut was faster than the command.
            cutOrdered = true
            return []
        case (.cut, .settle):
            phase = .settling
            markerDeadline = mode == .hold ? now : now + markerBound
            return endSettlingIfComplete(at: now)
        case (.cut, .release):
            phase = .releasing
            repetition = nil
            return [.releaseGates]
        case (.saved, .seal):
            phase = .sealing
            waiting = Set(members)
            return members.map { .finish($0) }
        case (.idle, .abort):
            phase = .finished
            return [.report(.aborted), .end]
        case (.sealing, .abort): return []
        case (_, .abort): return giveUp(reporting: nil)
        default:
            let text = "\(host) was told to \(command.name) while \(phase.rawValue): manager and agent disagree."
            return giveUp(reporting: .failed(Failure(.internalError, text)))
        }
    }

    // MARK: What happened

    private mutating func prepared(_ name: MemberName) -> [Action] {
        guard phase == .preparing else { return [] }
        waiting.remove(name)
        return waiting.isEmpty ? endPreparation() : []
    }

    private mutating func refused(_ failure: Failure) -> [Action] {
        guard phase == .preparing else { return [] }
        refusals.append(failure)
        if let member = failure.member { waiting.remove(member) }
        return waiting.isEmpty || failure.member == nil ? endPreparation() : []
    }

    private mutating func endPreparation() -> [Action] {
        guard refusals.isEmpty else { return giveUp(reporting: .refused(refusals)) }
        phase = .prepared
        return [.report(.prepared)]
    }

    private mutating func arm(_ mode: SnapshotMode) -> [Action] {
        self.mode = mode
        phase = .arming
        return [.armGates(mode)]
    }

    private mutating func gatesArmed() -> [Action] {
        guard phase == .arming else { return [] }
        phase = .armed
        return [.report(.armed(mode))]
    }

    // MARK: Markers

    /// A lost marker of colour mode would cost the epoch, so they go out again until they can be of no more use. In hold
    /// mode a lost marker costs the proof that a log is complete, and only that.
    private mutating func send(_ kind: MarkerKind, from members: [MemberName], at now: Tick) -> [Action] {
        if kind != .flush { repetition = now + Self.markerInterval }
        return [.sendMarkers(kind, from: members)]
    }

    private mutating func marker(
        _ kind: MarkerKind, on channel: Channel, bleached: Bool, beforeCut: Bool
    ) -> [Action] {
        switch (kind, phase) {
        // Another host may have been told to flush before this one; its markers count all the same. After the bound
        // they prove nothing any more: the log may have been closed between the segments and their marker.
        case (.flush, .preparing), (.flush, .prepared), (.flush, .arming), (.flush, .armed), (.flush, .flushing),
            (.probe, .preparing), (.probe, .prepared), (.probe, .arming), (.probe, .armed), (.probe, .flushing):
            markers.note(kind, on: channel, bleached: bleached)
            return endFlushIfComplete()
        case (.cut, .flushed) where mode == .colour, (.cut, .cutting) where mode == .colour,
            (.cut, .cut) where mode == .colour, (.cut, .settling) where mode == .colour:
            // One that came before its receiver was cut shows that there is a cut to be made, but not that the path kept
            // the colour until it was. The next repetition will. One that comes when the late log is closed proves nothing
            // any more: segments may have come between.
            if bleached || !beforeCut && !lateLogStopped { markers.note(kind, on: channel, bleached: bleached) }
            return beginCut() + endSettlingIfComplete(at: nil)
        default: return []
        }
    }

    private mutating func endFlushIfComplete() -> [Action] {
        let kind: MarkerKind = mode == .hold ? .flush : .probe
        return phase == .flushing && markers.missing(kind).isEmpty ? flushed() : []
    }

    private mutating func flushed() -> [Action] {
        phase = .flushed
        markerDeadline = nil
        repetition = nil
        let kind: MarkerKind = mode == .hold ? .flush : .probe
        let report = SnapshotReport.flushed(
            mode, missing: markers.missing(kind), bleached: markers.bleached(kind))
        // No member anywhere is cut before all hosts have flushed, so nothing coloured of this epoch is missed.
        return (mode == .colour ? [.heedColour] : []) + [.report(report)]
    }

    // MARK: Cut

    /// By command, or by the marker of another member's cut, whichever comes first. Such a marker has the key of the
    /// epoch, and none is made before all hosts have flushed: so every host heeds the colour of what is cut here. A
    /// coloured segment alone proves nothing of the kind; it is held, and waits for command or marker.
    private mutating func beginCut() -> [Action] {
        guard phase == .flushed else { return [] }
        phase = .cutting
        waiting = Set(members)
        return members.map { .cut($0) }
    }

    private mutating func wasCut(_ cut: MemberCut, at now: Tick) -> [Action] {
        guard phase == .cutting, waiting.remove(cut.member) != nil else { return [] }
        cuts[cut.member] = cut
        return (mode == .colour ? send(.cut, from: [cut.member], at: now) : []) + endCutIfComplete()
    }

    private mutating func endCutIfComplete() -> [Action] {
        guard phase == .cutting, waiting.isEmpty else { return [] }
        phase = .cut
        // In hold mode, when all channels into this host are proven empty nothing late can come any more; what arrives
        // from now on was released by a host that was told so first.
        let isEmpty = mode == .hold && markers.missing(.flush).isEmpty
        return (isEmpty ? [.stopLateLog] : []) + [.report(.cut(members.compactMap { cuts[$0] }))]
    }

    private mutating func endSettlingIfComplete(at now: Tick?) -> [Action] {
        guard phase == .settling, let markerDeadline else { return [] }
        let isOver = now.map { $0 >= markerDeadline } ?? false
        guard isOver || markers.missing(.cut).isEmpty else { return [] }
        phase = .cut
        self.markerDeadline = nil
        lateLogStopped = true
        return [.stopLateLog, .report(.settled)]
    }

    // MARK: Release and after

    private mutating func released(_ attestations: [GateAttestation]) -> [Action] {
        guard phase == .releasing else { return [] }
        phase = .saving
        waiting = Set(members)
        let completed = attestations.map { attestation in
            var attestation = attestation
            let member = attestation.member
            attestation.markersMissing = markers.missing(mode == .hold ? .flush : .cut).filter { $0.receiver == member }
            attestation.bleached = markers.bleached(.cut).filter { $0.receiver == member }
            return attestation
        }
        return [.report(.released(completed))] + members.map { .store($0) }
    }

    private mutating func wasStored(_ member: StoredMember) -> [Action] {
        guard phase == .saving else { return [] }
        stored[member.member] = member
        waiting.remove(member.member)
        guard waiting.isEmpty else { return [] }
        phase = .saved
        return [.report(.saved(members.compactMap { stored[$0] }))]
    }

    private mutating func wasFinished(_ name: MemberName) -> [Action] {
        guard phase == .sealing else { return [] }
        waiting.remove(name)
        guard waiting.isEmpty else { return [] }
        phase = .finished
        return [.report(.sealed), .end]
    }

    private mutating func wasAbandoned(_ name: MemberName) -> [Action] {
        guard phase == .aborting else { return [] }
        waiting.remove(name)
        return endAbortIfClean()
    }

    // MARK: The way out

    private mutating func giveUp(reporting report: SnapshotReport?) -> [Action] {
        switch phase {
        case .aborting, .finished, .sealing: return []
        case .idle:
            phase = .finished
            guard let report else { return [.end] }
            return [.report(report), .report(.aborted), .end]
        default: break
        }
        phase = .aborting
        repetition = nil
        waiting = Set(members)
        gatesOpening = true
        var actions: [Action] = [.openGates]
        if let report { actions.append(.report(report)) }
        actions += members.map { .abandon($0) }
        return actions
    }

    private mutating func endAbortIfClean() -> [Action] {
        guard waiting.isEmpty, !gatesOpening else { return [] }
        phase = .finished
        return [.report(.aborted), .end]
    }

    // MARK: Time

    /// In milliseconds.
    private static let markerInterval: UInt64 = 20

    /// In colour mode nobody's traffic waits for markers, so that the wait may be longer.
    private var markerBound: UInt64 {
        guard let plan else { return 0 }
        return mode == .hold ? plan.flushBound : max(plan.flushBound, plan.colourBudget / 10)
    }

    /// When a tick is next of use. A driver may give more of them.
    package var wakeAt: Tick? {
        guard let markerDeadline, let repetition else { return markerDeadline ?? repetition }
        return min(markerDeadline, repetition)
    }

    private mutating func ticked(at now: Tick) -> [Action] {
        var actions: [Action] = []
        if let repetition, now >= repetition {
            actions =
                phase == .flushing
                ? send(.probe, from: members, at: now)
                : send(.cut, from: members.filter { cuts[$0] != nil }, at: now)
        }
        guard let markerDeadline, now >= markerDeadline else { return actions }
        return actions + (phase == .flushing ? flushed() : endSettlingIfComplete(at: now))
    }
}

extension SnapshotCommand {
    /// The command's name, for messages.
    package var name: String {
        switch self {
        case .prepare: "prepare"
        case .arm: "arm"
        case .flush: "flush"
        case .cut: "cut"
        case .settle: "settle"
        case .release: "release"
        case .seal: "seal"
        case .abort: "abort"
        }
    }
}
