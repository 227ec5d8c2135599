import CNetfilterQueue
import Glibc
import Packets

/// What one member's thread knows and does. Every method is called on that thread.
// SAFETY: handed to its thread once and from then on used there only; see `MemberGate`.
final class MemberLoop: @unchecked Sendable {
    enum EgressPhase {
        /// No rule leads here yet: whatever comes is outside an epoch.
        case idle
        /// Hold mode.
        case holding
        /// Colour mode: let go at once, from the place on with the gate's mark.
        case colouring
        /// Passing on what still comes, until the rules are gone.
        case open
        /// The rules are gone: whatever comes is outside an epoch.
        case closed
    }

    enum IngressPhase {
        /// Coloured segments of members wait if colour is heeded; all else is delivered.
        case passing
        /// From the beginning of the cut to the place: nothing is delivered.
        case holding
        /// After the place: what members emitted before their cut is recorded; everything is delivered.
        case recording
    }

    let member: String
    let queueLength: UInt64
    let signer: MarkerSigner
    /// Which member owns a hardware address.
    let owners: [HardwareAddress: String]
    let members: Set<String>
    let report: @Sendable (GateEvent) -> Void
    let countOutside: @Sendable (UInt64) -> Void
    private let watchdogFired: @Sendable () -> Void

    private(set) var egress: PacketQueue?
    private(set) var ingress: PacketQueue?
    var egressPhase = EgressPhase.idle
    var ingressPhase = IngressPhase.passing
    private var isEnding = false
    /// On the monotonic clock.
    var deadline: UInt64?
    private var lastTime: UInt64 = 0

    /// The mode in effect.
    var mode = GateMode.hold
    var hasPlace = false

    // What the member emitted.
    var held: UInt64 = 0
    var heldBeforeCut: UInt64 = 0
    var lastHeld: UInt32?
    var sent = SegmentStore()

    // What came for it. `waiting` is all that the ingress queue holds.
    /// In colour mode, from the flush to the place.
    var heedsColour = false
    var hasToldColour = false
    var heldColoured: UInt64 = 0
    var waiting = SegmentStore()
    var received = SegmentStore()
    var markers: MarkerLedger
    var markersRejected: UInt64 = 0

    // What went wrong.
    private(set) var overruns: UInt64 = 0
    private var refusedVerdicts: UInt64 = 0
    var overflowed: UInt64 = 0
    var overflowTold = false
    private(set) var hasFired = false
    private(set) var reasons: [String] = []
    /// Packets taken from each queue since a turn found none in it.
    var backlog = (egress: UInt64(0), ingress: UInt64(0))

    init(
        member: String, egress: PacketQueue, ingress: PacketQueue, queueLength: UInt32, signer: MarkerSigner,
        owners: [HardwareAddress: String], markers: MarkerLedger, report: @escaping @Sendable (GateEvent) -> Void,
        countOutside: @escaping @Sendable (UInt64) -> Void, watchdogFired: @escaping @Sendable () -> Void
    ) {
        self.member = member
        self.egress = egress
        self.ingress = ingress
        self.queueLength = UInt64(queueLength)
        self.signer = signer
        self.owners = owners
        self.members = Set(owners.values)
        self.markers = markers
        self.report = report
        self.countOutside = countOutside
        self.watchdogFired = watchdogFired
    }

    // MARK: - The loop

    /// How many packets one turn takes from one queue before the other one and the commands have theirs.
    static let turn = 1_024

    /// As good as everything that waits, and yet an end for whoever sends faster than it is taken.
    static let all = 1 << 17

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
            if !overflowTold && (isFull || hasFallenBehind) { lookForOverflow() }
        }
        mailbox.closeAndRunRest()
        egress = nil
        ingress = nil
    }

    private var timeout: Int32 {
        var milliseconds: UInt64 = 60_000
        if let deadline {
            let now = GateClock.monotonic
            milliseconds = now < deadline ? (deadline - now) / 1_000_000 + 1 : 0
        }
        if isFull && !overflowTold { milliseconds = min(milliseconds, 5) }
        return Int32(min(milliseconds, 60_000))
    }

    /// Whether the gate does its work: from arming until it opens.
    var isGating: Bool { egressPhase == .holding || egressPhase == .colouring }

    private func fire() {
        guard isGating else { return deadline = nil }
        hasFired = true
        open()
        report(.broken(.watchdog(member: member)))
        watchdogFired()
    }

    func end() { isEnding = true }

    // MARK: - For both queues

    /// One datagram; false when there is none now.
    func take(from queue: PacketQueue, or fail: (String) -> Void) -> Bool {
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

    func settle(_ accepted: Bool) {
        guard !accepted else { return }
        refusedVerdicts += 1
        if refusedVerdicts == 1 { loseQueue("the kernel no longer had a packet that waited") }
    }

    func loseQueue(_ reason: String) {
        guard !reasons.contains(reason) else { return }
        reasons.append(reason)
        report(.broken(.queueLost(member: member, reason: reason)))
    }

    func nextTime() -> UInt64 {
        // Never backwards, even if the wall clock is stepped: the log is in order of emission.
        lastTime = max(lastTime + 1, GateClock.wall)
        return lastTime
    }
}
