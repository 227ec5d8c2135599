import Dispatch
import Logging
import NIOConcurrencyHelpers
import Packets

/// The gates of all members of this host for one epoch.
///
/// Calls may come from any thread and return when what they ask for is done. The order is `arm`, `sendMarkers`, then
/// for each member `beginCut` and `notePlace` or `cancelCut`, then `release`; `close` is allowed at any time and
/// always comes last.
package final class EpochGate: Sendable {
    private enum Phase {
        case opened
        case armed
        case released
        case closed
    }

    private struct State {
        var phase = Phase.opened
        var armedAt: UInt64 = 0
        var armedAtMonotonic: UInt64 = 0
        var facts: [String: MemberLoop.Facts] = [:]
        var destinations: [String: [IPAddress: HardwareAddress]] = [:]
    }

    private struct Rules {
        var arePresent = false
        var goneAt: UInt64?
    }

    /// What happens until `close`, which ends it. For one consumer.
    package let events: AsyncStream<GateEvent>

    let queueNumbers: [UInt16]
    let bridges: Set<String>
    private let plan: EpochPlan
    let gates: [String: MemberGate]
    private let sentry: GateSentry
    private let channelWires: MarkerWires
    private let signer: MarkerSigner
    private let filter: PacketFilter
    private let logger: Logger
    private let continuation: AsyncStream<GateEvent>.Continuation
    private let packetsOutside: @Sendable () -> UInt64
    private let whenClosed: @Sendable (EpochGate) -> Void
    private let state = NIOLockedValueBox(State())
    /// Held by whoever arms, releases or closes. The members' threads never take it.
    private let control = NIOLock()
    /// Held by whoever removes rules: `release`, `close`, or the sentry when a watchdog has fired.
    private let ruleControl = NIOLock()
    private let rules = NIOLockedValueBox(Rules())

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

    // MARK: - Hold

    /// Closes the gates of all members. When it returns, the rules are live in both families; when it throws, no gate
    /// holds.
    package func arm() throws(GateError) {
        control.lock()
        defer { control.unlock() }
        guard state.withLockedValue({ $0.phase == .opened }) else { throw .wrongState("The epoch is armed already") }
        if let failure = sentry.perform({ $0.beginWatching() }) ?? nil { throw failure }
        let budget = plan.holdBudget.components
        let deadline =
            GateClock.monotonic + UInt64(clamping: budget.seconds) * 1_000_000_000
            + UInt64(clamping: budget.attoseconds / 1_000_000_000)
        for gate in gates.values { gate.perform { $0.hold(until: deadline) } }
        let rules = OwnChains.change("-A", egress: egressRules, ingress: ingressRules)
        self.rules.withLockedValue { $0.arePresent = true }
        do {
            try filter.apply(rules)
        } catch {
            openGates()
            removeRules()
            throw error
        }
        state.withLockedValue { state in
            state.phase = .armed
            state.armedAt = GateClock.wall
            state.armedAtMonotonic = GateClock.monotonic
        }
    }

    /// Sends a marker on every channel from a member of this host. May be called again if markers were lost.
    ///
    /// To a receiver on another desktop the marker goes out of the bridge's port on the wire, as the segments did. A
    /// channel to a receiver on the same bridge has no wire: it is the way through that bridge, and after the grace
    /// period nothing is on it.
    package func sendMarkers() throws(GateError) {
        guard state.withLockedValue({ $0.phase == .armed }) else { throw .wrongState("The epoch is not armed") }
        try GracePeriod.wait()
        let learned = try LinkTable.learnedPorts()
        var failure: GateError?
        for sender in plan.members {
            for (receiver, addresses) in nicsByMember where receiver != sender.name {
                for (index, (nic, address)) in zip(sender.nics, addresses).enumerated() {
                    let nicIndex = UInt8(truncatingIfNeeded: index)
                    if let gate = gates[receiver], gate.member.nics[index].bridge == nic.bridge {
                        let name = sender.name
                        gate.perform { $0.takeLocalMarker(from: name, nicIndex: nicIndex) }
                        continue
                    }
                    do {
                        let frame = try signer.frame(
                            sender: sender.name, receiver: receiver, nicIndex: nicIndex, source: nic.mac,
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
    /// not. Segments held since `beginCut` are recorded if they are from members, and delivered.
    package func notePlace(_ member: String) throws(GateError) {
        guard let gate = gates[member] else { throw .wrongState("\(member) is not gated here") }
        guard gate.perform({ $0.notePlace() }) == true else {
            throw .wrongState("The gate of \(member) does not hold any more, or its place was noted already")
        }
    }

    /// The cut did not take place: delivers what `beginCut` held.
    package func cancelCut(_ member: String) { gates[member]?.perform { $0.cancelCut() } }

    /// From now on arriving segments are delivered and not recorded.
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
            evidence.markersRejected = fact.markersRejected
            evidence.armedAt = armed.wall
            evidence.releasedAt = fact.releasedAt
            evidence.holdTime = goneAt > armed.monotonic ? goneAt - armed.monotonic : 0
            return evidence
        }
    }

    /// The channel log of a member of this host, a capture file with nanosecond times: what it sent to members before
    /// its cut and had not arrived, then what arrived for it from members after. In order of time; empty before
    /// `release`.
    package func channelLog(of member: String) throws(GateError) -> [UInt8] {
        guard let gated = plan.members.first(where: { $0.name == member }) else {
            throw .wrongState("\(member) is not gated here")
        }
        do {
            return try PcapFile.encode(channelRecords(of: gated).records)
        } catch {
            throw .internalError("\(error)")
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

    // MARK: - Rules

    private var egressRules: [String] {
        gates.values.flatMap { gate in
            gate.member.nics.map { OwnChains.egressRule(tap: $0.tap, queue: gate.egressNumber) }
        }
    }

    private var ingressRules: [String] {
        gates.values.flatMap { gate in
            gate.member.nics.map { OwnChains.ingressRule(tap: $0.tap, queue: gate.ingressNumber) }
        }
    }

    private func openGates() {
        for answer in gates.values.map({ $0.begin { $0.open() } }) { _ = answer() }
    }

    /// Removes this epoch's rules. Safe to call from several threads; the first one does it.
    func removeRules() {
        ruleControl.lock()
        defer { ruleControl.unlock() }
        guard rules.withLockedValue({ $0.arePresent }) else { return }
        do {
            try filter.apply(OwnChains.change("-D", egress: egressRules, ingress: ingressRules))
        } catch {
            // Somebody else has taken some of them: look what is left.
            removeRemainingRules()
        }
        rules.withLockedValue { rules in
            rules.arePresent = false
            rules.goneAt = GateClock.monotonic
        }
    }

    private func removeRemainingRules() {
        do throws(GateError) {
            let (raw, mangle) = (try filter.rules(table: "raw"), try filter.rules(table: "mangle"))
            let queues = Set(queueNumbers)
            let inputs = [(raw.ipv4, mangle.ipv4), (raw.ipv6, mangle.ipv6)].map { raw, mangle in
                OwnChains.change(
                    "-D", egress: OwnChains.ownRules(queues: queues, in: raw),
                    ingress: OwnChains.ownRules(queues: queues, in: mangle))
            }
            try filter.apply(ipv4: inputs[0], ipv6: inputs[1])
        } catch {
            // The queues are unbound next, and the rules let traffic by that nobody takes.
            logger.error("rules of an epoch could not be removed", metadata: ["error": "\(error)"])
        }
    }

    private func missingRules() -> String? {
        let pairs = gates.values.flatMap { gate in
            gate.member.nics.flatMap {
                [
                    (chain: OwnChains.egress, tap: $0.tap, queue: gate.egressNumber),
                    (chain: OwnChains.ingress, tap: $0.tap, queue: gate.ingressNumber),
                ]
            }
        }
        do throws(GateError) {
            let (raw, mangle) = (try filter.rules(table: "raw"), try filter.rules(table: "mangle"))
            let areThere =
                OwnChains.holdsRules(pairs, raw: raw.ipv4, mangle: mangle.ipv4)
                && OwnChains.holdsRules(pairs, raw: raw.ipv6, mangle: mangle.ipv6)
            return areThere ? nil : "Rules of the gate were taken away."
        } catch {
            return "The rules of the gate could not be looked at: \(error)"
        }
    }

    // MARK: - Log

    /// The hardware addresses of each member, in the order of the plan.
    private var nicsByMember: [String: [HardwareAddress]] {
        Dictionary(grouping: plan.peers, by: \.member).mapValues { $0.map(\.mac) }
    }

    private func channelRecords(of member: GatedMember) -> (records: [PcapRecord], unresolved: UInt64) {
        let (facts, learned) = state.withLockedValue { ($0.facts[member.name], $0.destinations) }
        guard let facts else { return ([], 0) }
        let others = Set(plan.peers.filter { $0.member != member.name }.map(\.mac))
        let nicsBySource = arrivingNICs(of: member)
        var records: [PcapRecord] = []
        var unresolved: UInt64 = 0
        for entry in facts.sent.entries {
            guard let source = entry.source else {
                unresolved += 1
                continue
            }
            let nics = member.nics.filter { $0.mac == source }
            let taps = (nics.isEmpty ? member.nics : nics).map(\.tap)
            let address = facts.sent.destination(entry)
            guard let address,
                let destination = address.groupHardwareAddress ?? taps.lazy.compactMap({ learned[$0]?[address] }).first
            else {
                unresolved += 1
                continue
            }
            // What goes to others than members is outside the cluster.
            guard destination.isGroup || others.contains(destination) else { continue }
            records.append(record(entry, of: facts.sent, from: source, to: destination))
        }
        for entry in facts.received.entries {
            guard let source = entry.source else { continue }
            let nic = nicsBySource[source] ?? member.nics[0]
            let destination = facts.received.destination(entry)?.groupHardwareAddress ?? nic.mac
            records.append(record(entry, of: facts.received, from: source, to: destination))
        }
        let order = records.indices.sorted { (records[$0].time, $0) < (records[$1].time, $1) }
        return (order.map { records[$0] }, unresolved)
    }

    /// The queue does not say through which NIC a segment comes in. With several it is the one that the sender's NIC
    /// of the same index talks to.
    private func arrivingNICs(of member: GatedMember) -> [HardwareAddress: GatedNIC] {
        var nics: [HardwareAddress: GatedNIC] = [:]
        for addresses in nicsByMember.values {
            for (index, address) in addresses.enumerated() {
                nics[address] = member.nics[min(index, member.nics.count - 1)]
            }
        }
        return nics
    }

    private func record(
        _ entry: SegmentStore.Entry, of store: SegmentStore, from source: HardwareAddress,
        to destination: HardwareAddress
    ) -> PcapRecord {
        let frame = EthernetFrame(
            destination: destination, source: source, etherType: entry.etherType, payload: store.packet(entry))
        return PcapRecord(time: entry.time, frame: frame.encoded)
    }
}
