/// A host agent's side of one epoch, for all members that run on that host.
///
/// Whatever happens, the machine ends in `finished`, and on every way there the gates have been opened and every
/// member has been given back (`finish` or `abandon`). It needs nobody's permission for that.
package struct SnapshotParticipant: Sendable {
    package enum Phase: String, Sendable, Hashable, CaseIterable {
        case idle, preparing, prepared, arming, armed, flushing, flushed, cutting, cut, releasing, saving, saved
        case sealing, aborting, finished
    }

    package enum Event: Sendable, Hashable {
        case command(SnapshotCommand)
        case memberPrepared(MemberName)
        case memberRefused(Failure)
        case gatesArmed
        case markerArrived(Channel)
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
        /// Close the gates of all members of this host in one atomic change.
        case armGates
        /// Send a marker on every channel whose sender lives here.
        case sendMarkers
        /// Freeze the member, note the place in its held queue, start the image, let it run again.
        case cut(MemberName)
        /// Take nothing that arrives from now on into the logs. It must be done before the report that follows it is
        /// sent, and is not answered. Comes once or twice, after the cuts of this host.
        case stopLateLog
        /// Send out what is held, in order, and open the gates; then attest.
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
    private var markersMissing: Set<Channel> = []
    private var flushDeadline: Tick?
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
        case .markerArrived(let channel): return marker(on: channel)
        case .memberCut(let cut): return wasCut(cut)
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
            markersMissing = plan.channels(into: host)
            phase = .preparing
            waiting = Set(members)
            guard !members.isEmpty else {
                return giveUp(
                    reporting: .failed(Failure(.internalError, "No member of \(plan.cluster) is planned for \(host).")))
            }
            return plan.members(on: host).map { .prepare($0) }
        case (.prepared, .arm):
            phase = .arming
            return [.armGates]
        case (.armed, .flush):
            phase = .flushing
            flushDeadline = now + (plan?.flushBound ?? 0)
            return [.sendMarkers] + (markersMissing.isEmpty ? flushed() : [])
        case (.flushed, .cut):
            phase = .cutting
            waiting = Set(members)
            return members.map { .cut($0) }
        case (.cut, .settle): return [.stopLateLog, .report(.settled)]
        case (.cut, .release):
            phase = .releasing
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

    private mutating func gatesArmed() -> [Action] {
        guard phase == .arming else { return [] }
        phase = .armed
        return [.report(.armed)]
    }

    private mutating func marker(on channel: Channel) -> [Action] {
        // Another host may have been told to flush before this one; its markers count all the same. After the bound
        // they prove nothing any more: the log may have been closed between the segments and their marker.
        switch phase {
        case .preparing, .prepared, .arming, .armed, .flushing: break
        default: return []
        }
        guard markersMissing.remove(channel) != nil else { return [] }
        return phase == .flushing && markersMissing.isEmpty ? flushed() : []
    }

    private mutating func flushed() -> [Action] {
        phase = .flushed
        flushDeadline = nil
        return [.report(.flushed(missing: markersMissing.sorted()))]
    }

    private mutating func wasCut(_ cut: MemberCut) -> [Action] {
        guard phase == .cutting else { return [] }
        cuts[cut.member] = cut
        waiting.remove(cut.member)
        guard waiting.isEmpty else { return [] }
        phase = .cut
        // When all channels into this host are proven empty nothing late can come any more; what arrives from now on
        // was released by a host that was told so first.
        return (markersMissing.isEmpty ? [.stopLateLog] : []) + [.report(.cut(members.compactMap { cuts[$0] }))]
    }

    private mutating func released(_ attestations: [GateAttestation]) -> [Action] {
        guard phase == .releasing else { return [] }
        phase = .saving
        waiting = Set(members)
        let completed = attestations.map { attestation in
            var attestation = attestation
            attestation.markersMissing = markersMissing.filter { $0.receiver == attestation.member }.sorted()
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

    private mutating func ticked(at now: Tick) -> [Action] {
        guard phase == .flushing, let flushDeadline, now >= flushDeadline else { return [] }
        return flushed()
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
