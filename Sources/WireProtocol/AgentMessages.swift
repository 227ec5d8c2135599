package import SnapshotProtocol

/// A VM as its desktop reports it to the manager.
package struct MachineSummary: Hashable, Sendable, Codable {
    package var uuid: String
    package var name: String
    /// `running`, `paused`, `off` or `other`.
    package var state: String
    /// Guest memory in bytes.
    package var memory: UInt64
    package var nics: [MemberNIC]
    /// Size of all disks in bytes.
    package var diskBytes: UInt64
    package var hypervisor: String
    package var requirements: [String: String]
    /// What keeps the VM from being snapshotted as it is now.
    package var blockers: [Failure]

    package init(
        uuid: String, name: String, state: String, memory: UInt64, nics: [MemberNIC], diskBytes: UInt64,
        hypervisor: String, requirements: [String: String], blockers: [Failure]
    ) {
        self.uuid = uuid
        self.name = name
        self.state = state
        self.memory = memory
        self.nics = nics
        self.diskBytes = diskBytes
        self.hypervisor = hypervisor
        self.requirements = requirements
        self.blockers = blockers
    }
}

/// What an agent says first on every session.
package struct AgentHello: Hashable, Sendable, Codable {
    package var host: HostName
    /// Version of the agent's software.
    package var version: String
    /// Hypervisors that it drives, such as `libvirt`.
    package var hypervisors: [String]
    /// Requirements that it can meet: see `MachineSummary.requirements`.
    package var offers: [String: String]

    package init(host: HostName, version: String, hypervisors: [String], offers: [String: String]) {
        self.host = host
        self.version = version
        self.hypervisors = hypervisors
        self.offers = offers
    }
}

/// From agent to manager, on the session stream.
package enum AgentMessage: Hashable, Sendable {
    case hello(AgentHello)
    /// Answer to `ManagerMessage.listMachines`.
    case machines(request: UInt64, Result<[MachineSummary], Failure>)
    /// `cluster` and `epoch` name the epoch; reports of an epoch that is over are ignored by the manager.
    case snapshot(cluster: String, epoch: Epoch, SnapshotReport)
    case restore(id: UInt64, RestoreReport)
    /// Bytes stored so far for one member, for progress displays; at most a few per second.
    case progress(cluster: String, epoch: Epoch, member: MemberName, stored: UInt64, total: UInt64)
    /// Answer to `ManagerMessage.examine`.
    case examination(request: UInt64, Result<[Finding], Failure>)
    /// Answer to `ManagerMessage.tellTime`: the wall clock, in nanoseconds since 1970.
    case time(request: UInt64, UInt64)
    case pathTest(id: UInt64, PathTestReport)
}

/// From manager to agent, on the session stream.
package enum ManagerMessage: Hashable, Sendable {
    case listMachines(request: UInt64)
    case snapshot(cluster: String, epoch: Epoch, SnapshotCommand)
    case restore(id: UInt64, RestoreCommand)
    /// Look for what stands in the way of a snapshot of these VMs; of all that may be seen when none is named.
    case examine(request: UInt64, machines: [String])
    case tellTime(request: UInt64)
    case pathTest(id: UInt64, PathTestCommand)
}
