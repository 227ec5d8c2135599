/// Something that goes wrong once, at a given instant.
struct Fault: CustomStringConvertible {
    enum Kind: String, CaseIterable {
        /// The agent's process dies; the queue lets everything pass, and what was held is gone. It starts again later.
        case agentCrash
        /// The agent's process does not run for a while.
        case agentFreeze
        case managerCrash
        /// The manager's process does not run for a while.
        case managerFreeze
        /// The guest's processors stand still for a while.
        case guestFreeze
        case guestDeath
        /// Nothing can be stored any more on this host.
        case diskFull
        /// The image takes very long to be stored.
        case slowImage
        /// The hypervisor takes very long to freeze the member.
        case slowFreeze
        /// Closing the gates takes long.
        case slowArm
        /// One report of this host never arrives, though the connection stays.
        case lostReport
        /// One report of this host arrives twice, the second time late.
        case doubledReport
        /// The hypervisor never says that the image is stored.
        case lostAnswer
        /// The control connection is gone; each end notices in its own time.
        case controlBreak
        /// The network between this host and the manager is cut off for a while, and heals. Each end gives the session
        /// up in its own time, or does not notice.
        case controlPartition
        /// A report of an epoch that was given up earlier arrives only now.
        case staleReport
        /// This host's data network is cut off for a while.
        case partition
        /// Somebody flushes the packet filter: the gates of this host leak.
        case foreignChange
        /// The kernel loses the next segments that this member's queue should take.
        case overflow
        /// The way into this host is slow, and markers of an epoch given up earlier still arrive there.
        case staleMarkers
        /// Segments that an epoch given up earlier has coloured come to this host late.
        case staleColour
        /// The paths of this host take the colour off: from the beginning for a while or for good, or, if it strikes
        /// later, from then on.
        case bleachedHost
        /// The same of one channel of this member.
        case bleachedChannel
        /// No marker of this member arrives.
        case markerLoss
        case cancel
        /// The image of a member cannot be loaded.
        case loadFails
        case slowLoad
        case restoreCancel
        case manifestFails
        case refusal
    }

    /// A duration in microseconds: an hour.
    static let forGood: UInt64 = 3_600_000_000

    var kind: Kind
    /// A member or a host, as the kind requires.
    var target: Int
    var time: UInt64
    var duration: UInt64

    var description: String { "\(kind.rawValue) of \(target) at \(Instant(time)) for \(Instant(duration))" }
}

extension Fault.Kind {
    /// What can go wrong in a restore only.
    var isOfRestore: Bool {
        switch self {
        case .loadFails, .slowLoad, .restoreCancel: true
        default: false
        }
    }

    var isBleaching: Bool { self == .bleachedHost || self == .bleachedChannel }

    /// Whether a member is struck, and not a host.
    var isOfMember: Bool {
        switch self {
        case .guestDeath, .slowImage, .slowFreeze, .lostAnswer, .overflow, .markerLoss, .refusal, .guestFreeze,
            .bleachedChannel, .loadFails, .slowLoad:
            true
        default: false
        }
    }
}

/// Nanoseconds, written as milliseconds.
struct Instant: CustomStringConvertible {
    let nanoseconds: UInt64

    init(_ nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    var description: String {
        let digits = String(nanoseconds % 1_000_000 / 1_000)
        return "\(nanoseconds / 1_000_000).\(String(repeating: "0", count: 3 - digits.count))\(digits)ms"
    }
}
