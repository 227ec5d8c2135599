package import Packets

/// What a gate tells without being asked, from `openEpoch` to `close`.
package enum GateEvent: Hashable, Sendable {
    /// The markers of this kind of all pairs of NICs of this channel are in: what was emitted before them is. Told once
    /// per channel and kind, and once more, with `bleached`, if a later copy has lost its colour under way. Markers of
    /// cuts are told anew after the receiver's place; `beforeCut` are those before it.
    case markerArrived(sender: String, receiver: String, kind: Marker.Kind, bleached: Bool, beforeCut: Bool)
    /// A coloured segment of a member has come for this member, which is not cut yet, and waits. Told once per member.
    case colourArrived(member: String)
    /// The epoch is lost. The gate goes on until it is released or closed, or its budget is spent.
    case broken(GateFault)
}

/// Why a gate cannot vouch for its epoch.
package enum GateFault: Hashable, Sendable, CustomStringConvertible {
    /// The budget was spent; the gate of this member has opened by itself.
    case watchdog(member: String)
    /// The kernel dropped packets because a queue of this member was full.
    case overflow(member: String)
    /// A queue socket of this member overran (ENOBUFS).
    case socketOverrun(member: String)
    /// A transaction on the packet filter that was not ours, with the process that did it.
    case foreignChange(process: String)
    /// A tap of this member went down, away, or off its bridge; the kernel drops what it had queued of it.
    case tapGone(member: String, tap: String)
    /// The queue of this member no longer holds what it should, or takes no verdicts.
    case queueLost(member: String, reason: String)

    package var description: String {
        switch self {
        case .watchdog(let member): "The time of the gate of \(member) is spent: it opened by itself."
        case .overflow(let member): "A packet queue of \(member) was full and the kernel dropped packets."
        case .socketOverrun(let member): "The queue socket of \(member) overran and the kernel dropped packets."
        case .foreignChange(let process): "The packet filter was changed by \(process) while the gate was closed."
        case .tapGone(let member, let tap): "The tap \(tap) of \(member) went away while the gate was closed."
        case .queueLost(let member, let reason): "The packet queue of \(member) was lost: \(reason)."
        }
    }
}
