import Dispatch
import Logging
import NIOConcurrencyHelpers
package import Packets

/// The gates of all members of this host for one epoch.
///
/// Calls may come from any thread and return when what they ask for is done. The order is `arm`, `sendMarkers`, then
/// for each member `beginCut` and `notePlace` or `cancelCut`, then `release`; `close` is allowed at any time and
/// always comes last. In colour mode `heedColour` comes before the first cut anywhere in the cluster, each cut is
/// followed by markers of its own, and `arm(.hold)` falls back as long as no place is noted.
package final class EpochGate: Sendable {
    enum Phase {
        case opened
        case armed
        case released
        case closed
    }

    struct State {
        fileprivate(set) var phase = Phase.opened
        fileprivate var mode: GateMode?
        fileprivate var hasPlace = false
        fileprivate var armedAt: UInt64 = 0
        fileprivate var armedAtMonotonic: UInt64 = 0
        fileprivate(set) var facts: [String: MemberLoop.Facts] = [:]
        fileprivate(set) var destinations: [String: [IPAddress: HardwareAddress]] = [:]

        fileprivate mutating func arm(_ mode: GateMode) {
            self.mode = mode
            armedAt = GateClock.wall
            armedAtMonotonic = GateClock.monotonic
        }
    }

    struct Rules {
        var present: [OwnRule] = []
        var goneAt: UInt64?
    }

    /// What happens until `close`, which ends it. For one consumer.
    package let events: AsyncStream<GateEvent>

    let queueNumbers: [UInt16]
    let bridges: Set<String>
    let plan: EpochPlan
    let gates: [String: MemberGate]
    private let sentry: GateSentry
    private let channelWires: MarkerWires
    private let signer: MarkerSigner
    let filter: PacketFilter
    let logger: Logger
    private let continuation: AsyncStream<GateEvent>.Continuation
    private let packetsOutside: @Sendable () -> UInt64
    private let whenClosed: @Sendable (EpochGate) -> Void
    let state = NIOLockedValueBox(State())
    /// Held by whoever arms, releases or closes. The members' threads never take it.
    private let control = NIOLock()
    /// Held by whoever removes rules: `release`, `close`, or the sentry when a watchdog has fired.
    let ruleControl = NIOLock()
    let rules = NIOLockedValueBox(Rules())
    /// When the first probe went out on each channel, on the monotonic clock.
    let probesSent = NIOLockedValueBox<[ProbeTimes.Channel: UInt64]>([:])

    init(
        plan: EpochPlan, gates: [MemberGate], sentry: GateSentry, wires: MarkerWires, signer: MarkerSigner,
        filter: PacketFilter, logger: Logger,
        events: (stream: AsyncStream<GateEvent>, continuation: AsyncStream<GateEvent>.Continuation),
        packetsOutside: @escaping @Sendable () -> UInt64, whenClosed: @escaping @Sendable (EpochGate) -> Void
    ) {
        self.plan = plan
        self.gates = Dictionary(uniqueKeysWithValues: gates.map { ($0.member.name, $0) })
        self.queueNumbers = gates.flatMap { [$0.egressNumber, $0.ingressNumber] }
        self.bridges = Set(plan.members.flatMap { $0.nics.map(\.bridge) })
        self.sentry = sentry
        self.channelWires = wires
        self.signer = signer
        self.filter = filter
        self.logger = logger
        self.events = events.stream
        self.continuation = events.continuation
        self.packetsOutside = packetsOutside
        self.whenClosed = whenClosed
    }

    // MARK: - Arm and flush

    /// Closes the gates of all members in hold mode, or has them colour. When it returns, the rules are live in both
    /// families; when it throws, no gate does anything.
    ///
    /// `.hold` after `.colour` is the fall back: from then on all is held that members of this host emit. The rules stay
    /// as they are, so that no gap comes about. It is refused when a place has been noted on this host.
    package func arm(_ mode: GateMode) throws(GateError) {
        control.lock()
        defer { control.unlock() }
        let former = state.withLockedValue { (phase: $0.phase, mode: $0.mode) }
        switch (former.phase, former.mode, mode) {
        case (.opened, _, _): try begin(mode)
        case (.armed, .colour, .hold): try fallBack()
        default: throw .wrongState("The epoch is armed already")
        }
    }

    private func begin(_ mode: GateMode) throws(GateError) {
        if let failure = sentry.perform({ $0.beginWatching() }) ?? nil { throw failure }
        let deadline = deadline(of: mode)
        for gate in gates.values { gate.perform { $0.arm(mode, until: deadline) } }
        do {
            try makeRules(wantedRules(mode))
        } catch {
            openGates()
            removeRules()
            throw error
        }
        state.withLockedValue { state in
            state.phase = .armed
            state.arm(mode)
        }
    }

    private func fallBack() throws(GateError) {
        // From here on no place is noted before the gates hold.
        let isAllowed = state.withLockedValue { state in
            guard !state.hasPlace else { return false }
            state.arm(.hold)
            return true
        }
        guard isAllowed else { throw .wrongState("A member of this host is cut already") }
        let deadline = deadline(of: .hold)
        var hold = true
        for answer in gates.values.map({ $0.begin { $0.fallBack(until: deadline) } }) where answer() != true {
            hold = false
        }
        guard hold else { throw .wrongState("A gate has opened already, or its member is cut") }
    }

    private func deadline(of mode: GateMode) -> UInt64 {
        let budget = (mode == .hold ? plan.holdBudget : plan.colourBudget).components
        return GateClock.monotonic + UInt64(clamping: budget.seconds) * 1_000_000_000
            + UInt64(clamping: budget.attoseconds / 1_000_000_000)
    }

    /// From now on coloured segments of members wait for the cut of their receiver. Before, a colour may be a guest's
    /// own or that of an epoch which was given up.
    package func heedColour() {
        for answer in gates.values.map({ $0.begin { $0.heedColour() } }) { _ = answer() }
    }

    /// Sends a marker on every channel from these members, as far as they are of this host. May be called again if
    /// markers were lost.
    ///
    /// To a receiver on another desktop the marker goes out of the bridge's port on the wire, as the segments did. A
    /// channel to a receiver on the same bridge has no wire: it is the way through that bridge, and after the grace
    /// period nothing is on it.
    package func sendMarkers(_ kind: Marker.Kind, from members: Set<String>) throws(GateError) {
        guard state.withLockedValue({ $0.phase == .armed }) else { throw .wrongState("The epoch is not armed") }
        try GracePeriod.wait()
        let learned = try LinkTable.learnedPorts()
        var failure: GateError?
        for sender in plan.members where members.contains(sender.name) {
            for (receiver, addresses) in nicsByMember where receiver != sender.name {
                for (index, (nic, address)) in zip(sender.nics, addresses).enumerated() {
                    let nicIndex = UInt8(truncatingIfNeeded: index)
                    if kind == .probe { noteProbe(from: sender.name, to: receiver) }
                    if let gate = gates[receiver], gate.member.nics[index].bridge == nic.bridge {
                        let name = sender.name
                        gate.perform { $0.takeLocalMarker(kind, from: name, nicIndex: nicIndex) }
                        continue
                    }
                    do {
                        let frame = try signer.frame(
                            kind, sender: sender.name, receiver: receiver, nicIndex: nicIndex, source: nic.mac,
                            destination: address)
                        try channelWires.inject(frame, on: nic.bridge, towards: learned[address] ?? [])
                    } catch let error as GateError {
                        failure = error
                    } catch {
                        failure = .badPlan("\(error)")
                    }
                }
            }
        }
        if let failure { throw failure }
    }

    // MARK: - Cut

    /// From now on segments to this member are held and not delivered, so that between now and its place none is. Does
    /// nothing for a member that is not of this host or no longer gated.
    package func beginCut(_ member: String) { gates[member]?.perform { $0.beginCut() } }

    /// To be called while the guest is frozen: what it has emitted up to now is channel state, what it emits later is
    /// not, and carries the colour in colour mode. Segments held since `beginCut` are recorded if they are from members
    /// that had not been cut when they emitted them, and delivered.
    package func notePlace(_ member: String) throws(GateError) {
        guard let gate = gates[member] else { throw .wrongState("\(member) is not gated here") }
        state.withLockedValue { $0.hasPlace = true }
        guard gate.perform({ $0.notePlace() }) == true else {
            throw .wrongState("The gate of \(member) has opened, or its place was noted already")
        }
    }

    /// The cut did not take place: delivers what `beginCut` held. Coloured segments of members still wait.
    package func cancelCut(_ member: String) { gates[member]?.perform { $0.cancelCut() } }

    /// From now on segments that arrive for members that are cut are delivered and not recorded.
    package func stopLateLog() {
        for answer in gates.values.map({ $0.begin { $0.stopRecording() } }) { _ = answer() }
    }

    // MARK: - Release

    /// Lets everything go on that is held, in the order of its emission, removes the rules, and states what happened,
    /// one entry per member in the order of the plan.
    ///
    /// What is emitted while the rules are being removed is passed on by the members' threads; a segment that meets the
    /// new rules may overtake one that still waits for its thread, by microseconds.
    package func release() throws(GateError) -> [GateEvidence] {
        control.lock()
        defer { control.unlock() }
        guard state.withLockedValue({ $0.phase == .armed }) else { throw .wrongState("The epoch is not armed") }
        // Before any gate opens: what another member of this host emits from then on is no channel state.
        stopLateLog()
        let findings = sentry.perform { $0.look() } ?? GateWatch.Findings()
        let ruleReason = findings.foreignChanges > 0 ? missingRules() : nil
        var facts: [String: MemberLoop.Facts] = [:]
        for (name, answer) in gates.map({ ($0.key, $0.value.begin { $0.release() }) }) { facts[name] = answer() }
        removeRules()
        let seenGoneAt = sentry.perform { $0.stopWatching() } ?? nil
        let removedAt = rules.withLockedValue { $0.goneAt } ?? GateClock.monotonic
        let goneAt = min(removedAt, seenGoneAt ?? removedAt)
        let armed = state.withLockedValue { state in
            state.phase = .released
            state.facts = facts
            state.destinations = findings.destinations
            return (wall: state.armedAt, monotonic: state.armedAtMonotonic)
        }
        return plan.members.map { member in
            let fact = facts[member.name] ?? MemberLoop.Facts()
            let log = channelRecords(of: member)
            var evidence = GateEvidence(member: member.name)
            evidence.held = fact.held
            evidence.heldBeforeCut = fact.heldBeforeCut
            evidence.logged = UInt64(log.records.count)
            evidence.unresolved = log.unresolved
            evidence.overflowed = fact.overflowed
            evidence.foreignChanges = findings.foreignChanges
            evidence.reasons = fact.reasons + (findings.reasons[member.name] ?? []) + (ruleReason.map { [$0] } ?? [])
            if facts[member.name] == nil { evidence.reasons.append("The thread of the gate has ended.") }
            evidence.unbroken = evidence.reasons.isEmpty && !fact.watchdogFired
            evidence.watchdogFired = fact.watchdogFired
            evidence.packetsOutsideEpoch = packetsOutside()
            evidence.markersMissing = fact.markersMissing
            evidence.bleached = fact.bleached
            evidence.markersRejected = fact.markersRejected
            evidence.armedAt = armed.wall
            evidence.releasedAt = fact.releasedAt
            evidence.holdTime = goneAt > armed.monotonic ? goneAt - armed.monotonic : 0
            return evidence
        }
    }

    /// Opens the gates, removes the rules, unbinds the queues and ends the threads, from any state and any number of
    /// times.
    package func close() {
        control.lock()
        defer { control.unlock() }
        let isFirst = state.withLockedValue { state in
            defer { state.phase = .closed }
            return state.phase != .closed
        }
        guard isFirst else { return }
        openGates()
        removeRules()
        do {
            // Unbinding a queue drops what waits in it: first let everything arrive that is on its way.
            try GracePeriod.wait()
        } catch {
            logger.error("could not wait for packets on their way", metadata: ["error": "\(error)"])
        }
        for answer in gates.values.map({ $0.begin { $0.finish() } }) { _ = answer() }
        for gate in gates.values { gate.end() }
        sentry.end()
        channelWires.close()
        continuation.finish()
        whenClosed(self)
    }
}
