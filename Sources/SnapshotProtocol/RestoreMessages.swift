/// One member to be restored, with the host on which it shall run.
package struct RestoredMember: Hashable, Sendable, Codable {
    package var name: MemberName
    package var host: HostName
    /// The VM's UUID in its hypervisor.
    package var machine: String
    package var nics: [MemberNIC]
    package var parts: [StoredPart]
    package var requirements: [String: String]

    package init(
        name: MemberName, host: HostName, machine: String, nics: [MemberNIC], parts: [StoredPart],
        requirements: [String: String]
    ) {
        self.name = name
        self.host = host
        self.machine = machine
        self.nics = nics
        self.parts = parts
        self.requirements = requirements
    }
}

/// What is restored, where, and under which conditions.
package struct RestorePlan: Hashable, Sendable, Codable {
    package var snapshot: String
    package var cluster: String
    package var members: [RestoredMember]
    /// Stop members that still run; without it they make the restore refuse.
    package var replaceRunning: Bool
    /// Write the channel logs into the members' taps. Left out only to show what the replay is good for.
    package var replayLogs: Bool

    package init(
        snapshot: String, cluster: String, members: [RestoredMember], replaceRunning: Bool, replayLogs: Bool
    ) {
        self.snapshot = snapshot
        self.cluster = cluster
        self.members = members
        self.replaceRunning = replaceRunning
        self.replayLogs = replayLogs
    }

    package func members(on host: HostName) -> [RestoredMember] { members.filter { $0.host == host } }
}

package enum RestoreCommand: Hashable, Sendable {
    /// Stop every VM of the plan that runs here and drop, from now on, every packet that carries a member's hardware
    /// address, until `open`. Sent to every connected host, also to those that get no member.
    case fence(RestorePlan)
    /// Load this host's members, paused.
    case load
    /// Write the channel logs into the taps of this host's members.
    case replay
    /// Lift the fence and announce the hardware addresses.
    case open
    /// Let the members run.
    case start
    /// The restore is complete: forget what would undo it.
    case finish
    /// Undo: destroy what was loaded, lift the fence, remove the files.
    case discard(reason: String)
}

package enum RestoreReport: Hashable, Sendable {
    case fenced
    /// These members run here, and the plan does not say to replace them. Nothing was touched.
    case refused([Failure])
    case loaded
    case replayed(segments: UInt64)
    case opened
    case started
    case finished
    case failed(Failure)
    case discarded
}
