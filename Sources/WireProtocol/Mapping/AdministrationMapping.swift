internal import SnapshotProtocol
internal import SwiftProtobuf

extension Holdfast_V1_Agent {
    package init(_ agent: AgentStatus) {
        self.init()
        host = agent.host.rawValue
        connected = agent.connected
        version = agent.version
        hypervisors = agent.hypervisors
        if let lastSeen = agent.lastSeen { self.lastSeen = lastSeen }
    }
}

extension AgentStatus {
    package init(_ wire: Holdfast_V1_Agent) {
        self.init(
            host: HostName(wire.host), connected: wire.connected, version: wire.version,
            hypervisors: wire.hypervisors, lastSeen: wire.hasLastSeen ? wire.lastSeen : nil)
    }
}

extension Holdfast_V1_HostedMachine {
    package init(_ hosted: HostedMachine) {
        self.init()
        host = hosted.host.rawValue
        machine = Holdfast_V1_MachineSummary(hosted.machine)
        if let cluster = hosted.cluster { self.cluster = cluster }
    }
}

extension HostedMachine {
    package init(_ wire: Holdfast_V1_HostedMachine) throws(WireError) {
        guard wire.hasMachine else { throw .absent("machine") }
        self.init(
            host: HostName(wire.host), machine: try MachineSummary(wire.machine),
            cluster: wire.hasCluster ? wire.cluster : nil)
    }
}

extension Holdfast_V1_HostedMachineList {
    package init(_ inventory: MachineInventory) {
        self.init()
        machines = inventory.machines.map(Holdfast_V1_HostedMachine.init)
        failures = inventory.failures.map(Holdfast_V1_Failure.init)
    }
}

extension MachineInventory {
    package init(_ wire: Holdfast_V1_HostedMachineList) throws(WireError) {
        self.init(
            machines: try wire.machines.decoded(HostedMachine.init),
            failures: try wire.failures.decoded(Failure.init))
    }
}

extension Holdfast_V1_Cluster {
    package init(_ cluster: ClusterSummary) {
        self.init()
        name = cluster.name
        members = cluster.members.map { member in
            .with {
                $0.name = member.name.rawValue
                if let host = member.lastHost { $0.lastHost = host.rawValue }
            }
        }
    }
}

extension ClusterSummary {
    package init(_ wire: Holdfast_V1_Cluster) {
        self.init(
            name: wire.name,
            members: wire.members.map {
                Member(name: MemberName($0.name), lastHost: $0.hasLastHost ? HostName($0.lastHost) : nil)
            })
    }
}

extension Holdfast_V1_Snapshot {
    package init(_ snapshot: SnapshotSummary) {
        self.init()
        id = snapshot.id
        cluster = snapshot.cluster
        epoch = snapshot.epoch.rawValue
        mode = Holdfast_V1_SnapshotMode(snapshot.mode)
        createdAt = snapshot.createdAt
        sealed = snapshot.sealed
        members = snapshot.members.map(Holdfast_V1_MemberEvidence.init)
        verdict = Holdfast_V1_Verdict(snapshot.verdict)
    }
}

extension SnapshotSummary {
    package init(_ wire: Holdfast_V1_Snapshot) throws(WireError) {
        guard wire.hasVerdict else { throw .absent("verdict") }
        self.init(
            id: wire.id, cluster: wire.cluster, epoch: Epoch(wire.epoch), mode: try SnapshotMode(wire.mode),
            createdAt: wire.createdAt, sealed: wire.sealed,
            members: try wire.members.decoded(MemberEvidence.init), verdict: Verdict(wire.verdict))
    }
}

extension Holdfast_V1_Verification {
    package init(_ verification: SnapshotVerification) {
        self.init()
        snapshot = Holdfast_V1_Snapshot(verification.snapshot)
        problems = verification.problems
    }
}

extension SnapshotVerification {
    package init(_ wire: Holdfast_V1_Verification) throws(WireError) {
        guard wire.hasSnapshot else { throw .absent("snapshot") }
        self.init(snapshot: try SnapshotSummary(wire.snapshot), problems: wire.problems)
    }
}

extension Holdfast_V1_ModeChoice {
    package init(_ choice: ModeChoice) {
        self =
            switch choice {
            case .hold: .hold
            case .colour: .colour
            case .auto: .auto
            }
    }
}

extension ModeChoice {
    /// Who does not say gets hold mode.
    package init(_ wire: Holdfast_V1_ModeChoice) throws(WireError) {
        switch wire {
        case .UNRECOGNIZED(let number): throw .unknown("mode", number)
        case .unspecified, .hold: self = .hold
        case .colour: self = .colour
        case .auto: self = .auto
        }
    }
}

extension Holdfast_V1_SnapshotEvent {
    package init(_ progress: SnapshotProgress) {
        self.init()
        event =
            switch progress {
            case .phase(let name): .phase(.with { $0.name = name })
            case .stored(let member, let bytes, let total):
                .progress(
                    .with {
                        $0.member = member.rawValue
                        $0.stored = bytes
                        $0.total = total
                    })
            case .sealed(let snapshot): .sealed(Holdfast_V1_Snapshot(snapshot))
            case .fallBack(let reason): .fallBack(Holdfast_V1_Reason(reason))
            }
    }
}

extension SnapshotProgress {
    package init(_ wire: Holdfast_V1_SnapshotEvent) throws(WireError) {
        switch wire.event {
        case nil: throw .absent("snapshot event")
        case .phase(let phase): self = .phase(phase.name)
        case .progress(let progress):
            self = .stored(member: MemberName(progress.member), bytes: progress.stored, total: progress.total)
        case .sealed(let snapshot): self = .sealed(try SnapshotSummary(snapshot))
        case .fallBack(let reason): self = .fallBack(reason: reason.reason)
        }
    }
}

extension Holdfast_V1_RestoreRequest {
    package init(_ request: RestoreRequest) {
        self.init()
        snapshot = request.snapshot
        placements = request.placements.wire
        replaceRunning = request.replaceRunning
        lostHosts = request.lostHosts.map(\.rawValue).sorted()
        replayLogs = request.replayLogs
        verify = request.verify
    }
}

extension RestoreRequest {
    package init(_ wire: Holdfast_V1_RestoreRequest) {
        self.init(
            snapshot: wire.snapshot, placements: [MemberName: HostName](wire.placements),
            replaceRunning: wire.replaceRunning, lostHosts: Set(wire.lostHosts.map { HostName($0) }),
            replayLogs: wire.replayLogs, verify: wire.verify)
    }
}

extension Holdfast_V1_RestoreEvent {
    package init(_ progress: RestoreProgress) {
        self.init()
        event =
            switch progress {
            case .phase(let name): .phase(.with { $0.name = name })
            case .restored(let summary):
                .restored(
                    .with {
                        $0.snapshot = summary.snapshot
                        $0.members = summary.members.wire
                        $0.duration = summary.duration
                        $0.replayedSegments = summary.replayed
                    })
            }
    }
}

extension RestoreProgress {
    package init(_ wire: Holdfast_V1_RestoreEvent) throws(WireError) {
        switch wire.event {
        case nil: throw .absent("restore event")
        case .phase(let phase): self = .phase(phase.name)
        case .restored(let outcome):
            self = .restored(
                RestoreSummary(
                    snapshot: outcome.snapshot, members: [MemberName: HostName](outcome.members),
                    duration: outcome.duration, replayed: outcome.replayedSegments))
        }
    }
}

extension [MemberName: HostName] {
    fileprivate var wire: [Holdfast_V1_Placement] {
        sorted { $0.key < $1.key }.map { member, host in
            .with {
                $0.member = member.rawValue
                $0.host = host.rawValue
            }
        }
    }

    fileprivate init(_ wire: [Holdfast_V1_Placement]) {
        self.init(wire.map { (MemberName($0.member), HostName($0.host)) }, uniquingKeysWith: { _, last in last })
    }
}
