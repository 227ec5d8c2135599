/// What a gate tells without being asked, from `openEpoch` to `close`.
package enum GateEvent: Hashable, Sendable {
    /// Every marker of this channel is in: the channel is flushed. Told once per channel.
    case markerArrived(sender: String, receiver: String)
    /// The epoch is lost. The gate goes on holding until it is released or closed, or its hold budget is spent.
    case broken(GateFault)
}

/// Why a gate cannot vouch for its epoch.
package enum GateFault: Hashable, Sendable, CustomStringConvertible {
    /// The hold budget was spent; the gate of this member has opened by itself.
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
        case .watchdog(let member): "The hold budget of \(member) is spent: its gate opened by itself."
        case .overflow(let member): "A packet queue of \(member) was full and the kernel dropped packets."
        case .socketOverrun(let member): "The queue socket of \(member) overran and the kernel dropped packets."
        case .foreignChange(let process): "The packet filter was changed by \(process) while the gate was closed."
        case .tapGone(let member, let tap): "The tap \(tap) of \(member) went away while the gate was closed."
        case .queueLost(let member, let reason): "The packet queue of \(member) was lost: \(reason)."
        }
    }
}
