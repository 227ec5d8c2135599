package import SnapshotProtocol

/// A host agent as the manager knows it.
package struct AgentStatus: Hashable, Sendable, Codable {
    package var host: HostName
    package var connected: Bool
    /// Version of its software in the last session; empty when there has been none.
    package var version: String
    package var hypervisors: [String]
    /// Nanoseconds since 1970; nil when it has never been seen.
    package var lastSeen: UInt64?

    package init(host: HostName, connected: Bool, version: String, hypervisors: [String], lastSeen: UInt64?) {
        self.host = host
        self.connected = connected
        self.version = version
        self.hypervisors = hypervisors
        self.lastSeen = lastSeen
    }
}

/// A VM, the desktop on which it is, and the cluster to which it belongs.
package struct HostedMachine: Hashable, Sendable, Codable {
    package var host: HostName
    package var machine: MachineSummary
    package var cluster: String?

    package init(host: HostName, machine: MachineSummary, cluster: String?) {
        self.host = host
        self.machine = machine
        self.cluster = cluster
    }
}

/// All VMs that the connected agents see, and why some agents did not say.
package struct MachineInventory: Hashable, Sendable {
    package var machines: [HostedMachine]
    package var failures: [Failure]

    package init(machines: [HostedMachine], failures: [Failure]) {
        self.machines = machines
        self.failures = failures
    }
}

package struct ClusterSummary: Hashable, Sendable, Codable {
    package struct Member: Hashable, Sendable, Codable {
        package var name: MemberName
        /// Where it ran when it was last snapshotted or restored.
        package var lastHost: HostName?

        package init(name: MemberName, lastHost: HostName? = nil) {
            self.name = name
            self.lastHost = lastHost
        }
    }

    package var name: String
    package var members: [Member]

    package init(name: String, members: [Member]) {
        self.name = name
        self.members = members
    }
}

/// What a snapshot's manifest says.
package struct SnapshotSummary: Hashable, Sendable {
    package var id: String
    package var cluster: String
    package var epoch: Epoch
    package var mode: SnapshotMode
    /// Nanoseconds since 1970.
    package var createdAt: UInt64
    package var sealed: Bool
    package var members: [MemberEvidence]
    package var verdict: Verdict

    package init(
        id: String, cluster: String, epoch: Epoch, mode: SnapshotMode, createdAt: UInt64, sealed: Bool,
        members: [MemberEvidence], verdict: Verdict
    ) {
        self.id = id
        self.cluster = cluster
        self.epoch = epoch
        self.mode = mode
        self.createdAt = createdAt
        self.sealed = sealed
        self.members = members
        self.verdict = verdict
    }

    /// From the first member's cut to the last one's, in nanoseconds, by the hosts' own clocks.
    package var skew: UInt64 {
        let starts = members.map(\.cut.cutStartedAt)
        guard let first = starts.min(), let last = starts.max() else { return 0 }
        return last - first
    }

    /// Bytes of all stored parts.
    package var size: UInt64 {
        members.reduce(0) { sum, member in
            let (next, overflow) = sum.addingReportingOverflow(member.stored.size)
            return overflow ? .max : next
        }
    }
}

extension StoredMember {
    /// Bytes of all parts. Sizes come from elsewhere, so that a sum may be too large.
    package var size: UInt64 {
        parts.reduce(0) { sum, part in
            let (next, overflow) = sum.addingReportingOverflow(part.size)
            return overflow ? .max : next
        }
    }
}

package struct SnapshotVerification: Hashable, Sendable {
    /// With the verdict as it follows from what is stored now.
    package var snapshot: SnapshotSummary
    /// One sentence for each thing that is wrong; none when the snapshot is whole.
    package var problems: [String]

    package init(snapshot: SnapshotSummary, problems: [String]) {
        self.snapshot = snapshot
        self.problems = problems
    }
}

/// What the manager says while it takes a snapshot. The last one is `sealed`, or the call fails.
/// What a user may ask for.
package enum ModeChoice: String, Sendable, CaseIterable {
    case hold
    case colour
    /// The manager chooses by the number of hosts and by what happened to the cluster's last snapshot.
    case auto
}

package enum SnapshotProgress: Hashable, Sendable {
    case phase(String)
    /// The epoch goes on in hold mode.
    case fallBack(reason: String)
    /// Bytes.
    case stored(member: MemberName, bytes: UInt64, total: UInt64)
    case sealed(SnapshotSummary)
}

package struct RestoreRequest: Hashable, Sendable {
    package var snapshot: String
    /// Where members shall run, for those that shall not be placed by the manager.
    package var placements: [MemberName: HostName]
    /// Stop members that still run.
    package var replaceRunning: Bool
    /// Hosts that are down for good, on the administrator's word.
    package var lostHosts: Set<HostName>
    package var replayLogs: Bool
    /// Recompute the hashes of all parts before anything is touched.
    package var verify: Bool

    package init(
        snapshot: String, placements: [MemberName: HostName] = [:], replaceRunning: Bool = false,
        lostHosts: Set<HostName> = [], replayLogs: Bool = true, verify: Bool = true
    ) {
        self.snapshot = snapshot
        self.placements = placements
        self.replaceRunning = replaceRunning
        self.lostHosts = lostHosts
        self.replayLogs = replayLogs
        self.verify = verify
    }
}

package struct RestoreSummary: Hashable, Sendable {
    package var snapshot: String
    package var members: [MemberName: HostName]
    /// Nanoseconds from the first command to the last answer.
    package var duration: UInt64
    /// Segments of the channel logs written into the taps.
    package var replayed: UInt64

    package init(snapshot: String, members: [MemberName: HostName], duration: UInt64, replayed: UInt64) {
        self.snapshot = snapshot
        self.members = members
        self.duration = duration
        self.replayed = replayed
    }
}

/// What the manager says during a restore. The last one is `restored`, or the call fails.
package enum RestoreProgress: Hashable, Sendable {
    case phase(String)
    case restored(RestoreSummary)
}
