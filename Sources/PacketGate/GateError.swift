import Glibc

/// Why a gate could not do what it was asked to. Every message says what can be done about it.
package enum GateError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The process may not touch the network: the missing capability.
    case noRights(String)
    /// Another program is bound to this netfilter queue.
    case queueTaken(UInt16)
    /// The kernel or the system lacks the named thing.
    case kernelLacks(String)
    /// No such tap, or it is not a port of the bridge named with it.
    case tapMissing(String)
    case bridgeMissing(String)
    /// The packet filter refused a change of rules: what its tool printed.
    case ruleFailed(String)
    /// Another agent gates packets in this network namespace.
    case alreadyRunning
    /// A call that does not fit the state of the epoch.
    case wrongState(String)
    /// What was asked for cannot be: names, addresses, the key.
    case badPlan(String)
    case replayFailed(tap: String, reason: String)
    case internalError(String)

    package var description: String {
        switch self {
        case .noRights(let capability):
            "The gate needs \(capability). Run the agent as root or give its unit that capability."
        case .queueTaken(let number):
            "Netfilter queue \(number) is taken by another program. Stop that program, or set another queue base."
        case .kernelLacks(let what):
            "This system lacks \(what). Install or load it (modprobe br_netfilter nfnetlink_queue) and try again."
        case .tapMissing(let tap):
            "The tap \(tap) is not there or not on its bridge. Check that the VM runs and that its NIC is on a bridge."
        case .bridgeMissing(let bridge):
            "The bridge \(bridge) is not there. Check the VM's network configuration."
        case .ruleFailed(let output):
            "The packet filter refused a change: \(output). Check that iptables (nf_tables variant) works on this host."
        case .alreadyRunning:
            "Another agent gates packets in this network namespace. Stop it first."
        case .wrongState(let what):
            "\(what). Give the epoch up and begin another."
        case .badPlan(let what):
            "The epoch's plan cannot be gated: \(what). Correct the cluster's definition."
        case .replayFailed(let tap, let reason):
            "The channel log could not be written into tap \(tap): \(reason). Restore again."
        case .internalError(let what):
            "The gate failed: \(what). Give the epoch up; if it happens again, report it with the agent's log."
        }
    }

    /// The error of the system call that just failed.
    static func system(_ call: String, _ code: Int32) -> GateError {
        if code == EPERM || code == EACCES { return .noRights("the rights for \(call) (CAP_NET_ADMIN, CAP_NET_RAW)") }
        return .internalError("\(call): \(String(cString: strerror(code)))")
    }
}
