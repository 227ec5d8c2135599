import CNetfilterQueue
import Glibc
import Packets

/// What one member's thread knows and does. Every method is called on that thread.
// SAFETY: handed to its thread once and from then on used there only; see `MemberGate`.
final class MemberLoop: @unchecked Sendable {
    enum EgressPhase {
        /// No rule leads here yet: whatever comes is outside an epoch.
        case idle
        case holding
        /// Passing on what still comes, until the rules are gone.
        case open
        /// The rules are gone: whatever comes is outside an epoch.
        case closed
    }

    enum IngressPhase {
        case passing
        /// From the beginning of the cut to the place: nothing is delivered.
        case holding
        /// After the place: members' segments are recorded and delivered until their channel's marker is in.
        case recording
    }

    /// What a release found out about this member.
    struct Facts: Sendable {
        var held: UInt64 = 0
        var heldBeforeCut: UInt64 = 0
        var overflowed: UInt64 = 0
        var reasons: [String] = []
        var watchdogFired = false
        var markersMissing: [String] = []
        var markersRejected: UInt64 = 0
        var releasedAt: UInt64 = 0
        /// What was emitted before the cut and held.
        var sent = SegmentStore()
        /// What arrived from members after the beginning of the cut.
        var received = SegmentStore()
    }

    private let member: String
    private let queueLength: UInt64
    private let signer: MarkerSigner
    /// Which member owns a hardware address.
    private let owners: [HardwareAddress: String]
    private let members: Set<String>
    /// The NIC pairs over which each sender's marker must come.
    private let expectedMarkers: [String: Set<UInt8>]
    private let report: @Sendable (GateEvent) -> Void
    private let countOutside: @Sendable (UInt64) -> Void
    private let watchdogFired: @Sendable () -> Void

    private var egress: PacketQueue?
    private var ingress: PacketQueue?
    private var egressPhase = EgressPhase.idle
    private var ingressPhase = IngressPhase.passing
    private var isEnding = false
    /// On the monotonic clock.
    private var deadline: UInt64?
    private var lastTime: UInt64 = 0

    private var held: UInt64 = 0
    private var lastHeld: UInt32?
    private var place: UInt64?
    private var sent = SegmentStore()

    private var waiting = SegmentStore()
    private var waitingCount: UInt64 = 0
    private var lastWaiting: UInt32?
    private var received = SegmentStore()
    private var markers: [String: Set<UInt8>] = [:]
    private var markersRejected: UInt64 = 0

    private var overruns: UInt64 = 0
    private var refusedVerdicts: UInt64 = 0
    private var overflowTold = false
    private var hasFired = false
    private var reasons: [String] = []

    init(
        member: String, egress: PacketQueue, ingress: PacketQueue, queueLength: UInt32, signer: MarkerSigner,
        owners: [HardwareAddress: String], expectedMarkers: [String: Set<UInt8>],
        report: @escaping @Sendable (GateEvent) -> Void, countOutside: @escaping @Sendable (UInt64) -> Void,
        watchdogFired: @escaping @Sendable () -> Void
    ) {
        self.member = member
        self.egress = egress
        self.ingress = ingress
        self.queueLength = UInt64(queueLength)
        self.signer = signer
        self.owners = owners
        self.members = Set(owners.values)
        self.expectedMarkers = expectedMarkers
        self.report = report
        self.countOutside = countOutside
        self.watchdogFired = watchdogFired
    }

    // MARK: - The loop

    /// How many packets one turn takes from one queue before the other one and the commands have theirs.
    private static let turn = 1_024

    /// As good as everything that waits, and yet an end for whoever sends faster than it is taken.
    private static let all = 1 << 17

    func run(_ mailbox: CommandMailbox) {
        while !isEnding {
            var descriptors = [mailbox.descriptor, egress?.descriptor ?? -1, ingress?.descriptor ?? -1].map {
                pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
            }
            poll(&descriptors, nfds_t(descriptors.count), timeout)
            mailbox.runAll()
            takeEgress(limit: Self.turn)
            takeIngress(limit: Self.turn)
            if let deadline, GateClock.monotonic >= deadline { fire() }
            if isSaturated && !overflowTold { lookForOverflow() }
        }
        mailbox.closeAndRunRest()
        egress = nil
        ingress = nil
    }

    /// A full queue tells nobody that it drops: the kernel's counters are looked at while one is full.
    private var isSaturated: Bool { held >= queueLength || waitingCount >= queueLength }

    private var timeout: Int32 {
        var milliseconds: UInt64 = 60_000
        if let deadline {
            let now = GateClock.monotonic
            milliseconds = now < deadline ? (deadline - now) / 1_000_000 + 1 : 0
        }
        if isSaturated && !overflowTold { milliseconds = min(milliseconds, 5) }
        return Int32(min(milliseconds, 60_000))
    }

    private func fire() {
        guard egressPhase == .holding else { return deadline = nil }
        hasFired = true
        open()
        report(.broken(.watchdog(member: member)))
        watchdogFired()
    }

    func end() { isEnding = true }

    // MARK: - Egress

    private func takeEgress(limit: Int) {
        guard let egress else { return }
        var taken = 0
        var last: UInt32?
        while taken < limit {
            guard take(from: egress, or: { loseQueue("its egress socket failed: \($0)") }) else { break }
            taken += egress.packets.count
            for packet in egress.packets {
                switch egressPhase {
                case .holding:
                    held += 1
                    lastHeld = packet.id
                    // What comes after the place is not channel state: the kernel keeps it, nobody records it.
                    if place == nil { sent.append(packet, time: nextTime()) }
                case .idle, .closed:
                    countOutside(1)
                    last = packet.id
                case .open: last = packet.id
                }
            }
        }
        if let last { settle(egress.accept(upTo: last)) }
    }

    /// One datagram; false when there is none now.
    private func take(from queue: PacketQueue, or fail: (String) -> Void) -> Bool {
        while true {
            switch queue.receive() {
            case .packets: return true
            case .nothing: return false
            case .overrun:
                overruns += 1
                guard overruns == 1 else { continue }
                report(.broken(.socketOverrun(member: member)))
            case .verdictRefused: settle(false)
            case .failed(let code):
                fail(String(cString: strerror(code)))
                return false
            }
        }
    }

    private func settle(_ accepted: Bool) {
        guard !accepted else { return }
        refusedVerdicts += 1
        if refusedVerdicts == 1 { loseQueue("the kernel no longer had a packet that waited") }
    }

    private func loseQueue(_ reason: String) {
        guard !reasons.contains(reason) else { return }
        reasons.append(reason)
        report(.broken(.queueLost(member: member, reason: reason)))
    }

    private func nextTime() -> UInt64 {
        // Never backwards, even if the wall clock is stepped: the log is in order of emission.
        lastTime = max(lastTime + 1, GateClock.wall)
        return lastTime
    }

    // MARK: - Ingress

    private func takeIngress(limit: Int) {
        guard let ingress else { return }
        var taken = 0
        var last: UInt32?
        while taken < limit {
            guard take(from: ingress, or: { loseQueue("its ingress socket failed: \($0)") }) else { break }
            taken += ingress.packets.count
            for packet in ingress.packets {
                if egressPhase == .idle || egressPhase == .closed { countOutside(1) }
                if Marker.isCandidate(packet: packet.payload) {
                    // A verdict of its own: the batch that lets its neighbours go on never meets it.
                    settle(ingress.drop(packet.id))
                    noteMarker(packet)
                    continue
                }
                switch ingressPhase {
                case .passing: last = packet.id
                case .holding:
                    waiting.append(packet, time: nextTime())
                    waitingCount += 1
                    lastWaiting = packet.id
                case .recording:
                    if let sender = sender(of: packet.source), !isFlushed(sender) {
                        received.append(packet, time: nextTime())
                    }
                    last = packet.id
                }
            }
        }
        if let last { settle(ingress.accept(upTo: last)) }
    }

    private func sender(of address: HardwareAddress?) -> String? {
        guard let address, let owner = owners[address], owner != member else { return nil }
        return owner
    }

    private func noteMarker(_ packet: PacketQueue.Packet) {
        guard let marker = signer.authentic(packet: Array(packet.payload)), members.contains(marker.sender),
            members.contains(marker.receiver)
        else { return markersRejected += 1 }
        // A bridge that does not know the receiver floods: that marker is another member's.
        guard marker.receiver == member else { return }
        noteMarker(from: marker.sender, nicIndex: marker.nicIndex)
    }

    private func noteMarker(from sender: String, nicIndex: UInt8) {
        guard expectedMarkers[sender]?.contains(nicIndex) == true else { return }
        let wasFlushed = isFlushed(sender)
        markers[sender, default: []].insert(nicIndex)
        if !wasFlushed && isFlushed(sender) { report(.markerArrived(sender: sender, receiver: member)) }
    }

    private func isFlushed(_ sender: String) -> Bool { markers[sender] == expectedMarkers[sender] }

    /// Members whose channel to this one is proven empty.
    var flushedSenders: [String] { expectedMarkers.keys.filter(isFlushed).sorted() }

    /// Lets what was held since the beginning of the cut go on, in order.
    private func deliverWaiting() {
        if let lastWaiting, let ingress { settle(ingress.accept(upTo: lastWaiting)) }
        lastWaiting = nil
        waitingCount = 0
        waiting = SegmentStore()
    }

    // MARK: - Commands

    /// Before the rules are made: what comes from now on is held.
    func hold(until deadline: UInt64) {
        egressPhase = .holding
        self.deadline = deadline
    }

    /// A sender on the same bridge: its channel is known to be flushed up to what the socket holds now.
    func takeLocalMarker(from sender: String, nicIndex: UInt8) {
        takeIngress(limit: Self.all)
        noteMarker(from: sender, nicIndex: nicIndex)
    }

    func beginCut() {
        guard egressPhase == .holding, place == nil else { return }
        // What is in the socket arrived before: delivered, as it would have been.
        takeIngress(limit: Self.all)
        ingressPhase = .holding
    }

    /// False when nothing is held any more, so that there is no place.
    func notePlace() -> Bool {
        guard egressPhase == .holding, place == nil else { return false }
        takeEgress(limit: Self.all)
        takeIngress(limit: Self.all)
        place = held
        // All gates of the cluster are closed until all have cut, so whatever waits here was emitted before its
        // sender's cut, marker or not.
        for entry in waiting.entries where sender(of: entry.source) != nil { received.append(entry, of: waiting) }
        deliverWaiting()
        ingressPhase = .recording
        return true
    }

    func cancelCut() {
        guard place == nil else { return }
        deliverWaiting()
        ingressPhase = .passing
    }

    func stopRecording() {
        if ingressPhase == .recording {
            takeIngress(limit: Self.all)
            ingressPhase = .passing
        } else {
            cancelCut()
        }
    }

    /// Lets everything go on that waits, in order, and from now on whatever comes.
    func open() {
        stopRecording()
        guard egressPhase == .holding else { return }
        takeEgress(limit: Self.all)
        letGo()
    }

    private func letGo() {
        deadline = nil
        egressPhase = .open
        if let lastHeld, let egress { settle(egress.accept(upTo: lastHeld)) }
        lastHeld = nil
        // The kernel answers a verdict that it refuses before the call returns.
        takeEgress(limit: Self.turn)
    }

    /// States what was held, after a look at the kernel's side of it, and lets it go.
    func release() -> Facts {
        stopRecording()
        if egressPhase == .holding {
            takeEgress(limit: Self.all)
            inspectQueues()
        }
        let releasedAt = GateClock.wall
        if egressPhase == .holding { letGo() }
        var facts = Facts()
        facts.held = held
        facts.heldBeforeCut = place ?? 0
        facts.overflowed = overflowed
        facts.reasons = reasons
        facts.watchdogFired = hasFired
        facts.markersMissing = expectedMarkers.keys.filter { !isFlushed($0) }.sorted()
        facts.markersRejected = markersRejected
        facts.releasedAt = releasedAt
        if place != nil { facts.sent = sent }
        facts.received = received
        sent = SegmentStore()
        received = SegmentStore()
        return facts
    }

    /// The rules are gone and so is what was on its way from them to here: takes the rest.
    func finish() {
        open()
        takeEgress(limit: Self.all)
        takeIngress(limit: Self.all)
        egressPhase = .closed
    }

    // MARK: - The kernel's side

    private var overflowed: UInt64 = 0

    private func inspectQueues() {
        let statistics = QueueStatistics.read()
        var dropped: UInt64 = 0
        for (queue, name, count) in [(egress, "egress", lastHeld == nil ? 0 : held), (ingress, "ingress", 0)] {
            guard let queue else { continue }
            guard let found = statistics[queue.number], found.port == queue.port else {
                loseQueue("its \(name) queue \(queue.number) is no longer bound to the agent")
                continue
            }
            dropped += found.queueDropped + found.userDropped
            if found.waiting < count {
                loseQueue("\(count - found.waiting) packets that it held are gone")
            }
        }
        overflowed = max(dropped, overruns)
        if overflowed > 0 { tellOverflow() }
    }

    private func lookForOverflow() {
        let statistics = QueueStatistics.read()
        let dropped = [egress, ingress].compactMap { $0.flatMap { statistics[$0.number]?.queueDropped } }.reduce(0, +)
        if dropped > 0 { tellOverflow() }
    }

    private func tellOverflow() {
        guard !overflowTold else { return }
        overflowTold = true
        report(.broken(.overflow(member: member)))
    }
}
