import SnapshotProtocol
import WireProtocol

// What the JSON looks like. Names of fields are API: add, never rename. Keys become snake case.

struct AgentDocument: Encodable {
    let host: String
    let connected: Bool
    let version: String
    let hypervisors: [String]
    /// ISO 8601.
    let lastSeen: String?

    init(_ agent: AgentStatus) {
        host = agent.host.rawValue
        connected = agent.connected
        version = agent.version
        hypervisors = agent.hypervisors
        lastSeen = agent.lastSeen.map(Timestamp.text)
    }
}

struct FailureDocument: Encodable {
    let code: String
    let member: String?
    let message: String

    init(_ failure: Failure) {
        code = failure.code.rawValue
        member = failure.member?.rawValue
        message = failure.message
    }
}

struct MachineDocument: Encodable {
    let name: String
    let host: String
    let uuid: String
    let state: String
    let memoryBytes: UInt64
    let diskBytes: UInt64
    let hypervisor: String
    let cluster: String?
    let macs: [String]
    let requirements: [String: String]
    let blockers: [FailureDocument]

    init(_ hosted: HostedMachine) {
        name = hosted.machine.name
        host = hosted.host.rawValue
        uuid = hosted.machine.uuid
        state = hosted.machine.state
        memoryBytes = hosted.machine.memory
        diskBytes = hosted.machine.diskBytes
        hypervisor = hosted.machine.hypervisor
        cluster = hosted.cluster
        macs = hosted.machine.nics.map(\.mac)
        requirements = hosted.machine.requirements
        blockers = hosted.machine.blockers.map(FailureDocument.init)
    }
}

struct InventoryDocument: Encodable {
    let vms: [MachineDocument]
    /// Of hosts that could not say what they have.
    let errors: [FailureDocument]

    init(_ inventory: MachineInventory) {
        vms = inventory.machines.map(MachineDocument.init)
        errors = inventory.failures.map(FailureDocument.init)
    }
}

struct ClusterDocument: Encodable {
    struct Member: Encodable {
        let name: String
        let lastHost: String?
    }

    let name: String
    let members: [Member]

    init(_ cluster: ClusterSummary) {
        name = cluster.name
        members = cluster.members.map { Member(name: $0.name.rawValue, lastHost: $0.lastHost?.rawValue) }
    }
}

struct SnapshotDocument: Encodable {
    struct Member: Encodable {
        let name: String
        let host: String
        let pauseMs: Double
        let holdMs: Double
        let held: UInt64
        let heldBeforeCut: UInt64
        let logged: UInt64
        let packetsOutsideEpoch: UInt64
        let method: String
        let bytes: UInt64
        let parts: [String]
    }

    let id: String
    let cluster: String
    let epoch: UInt64
    let mode: String
    /// ISO 8601.
    let createdAt: String
    let sealed: Bool
    let members: [Member]
    let skewMs: Double
    let bytes: UInt64
    let verdict: VerdictDocument

    init(_ snapshot: SnapshotSummary) {
        id = snapshot.id
        cluster = snapshot.cluster
        epoch = snapshot.epoch.rawValue
        mode = snapshot.mode.rawValue
        createdAt = Timestamp.text(snapshot.createdAt)
        sealed = snapshot.sealed
        members = snapshot.members.map { evidence in
            Member(
                name: evidence.member.name.rawValue, host: evidence.member.host.rawValue,
                pauseMs: Self.milliseconds(evidence.cut.pause), holdMs: Self.milliseconds(evidence.gate.holdTime),
                held: evidence.gate.held, heldBeforeCut: evidence.gate.heldBeforeCut, logged: evidence.gate.logged,
                packetsOutsideEpoch: evidence.gate.packetsOutsideEpoch, method: evidence.cut.method,
                bytes: evidence.stored.size, parts: evidence.stored.parts.map(\.kind))
        }
        skewMs = Self.milliseconds(snapshot.skew)
        bytes = snapshot.size
        verdict = VerdictDocument(snapshot.verdict)
    }

    /// To the microsecond.
    private static func milliseconds(_ nanoseconds: UInt64) -> Double {
        Table.rounded(Double(nanoseconds) / 1e6, 3)
    }
}

struct VerdictDocument: Encodable {
    let consistent: Bool
    let logComplete: Bool
    let reasons: [String]

    init(_ verdict: Verdict) {
        consistent = verdict.consistent
        logComplete = verdict.logComplete
        reasons = verdict.reasons
    }
}

struct VerificationDocument: Encodable {
    let snapshot: String
    let whole: Bool
    let problems: [String]
    let verdict: VerdictDocument

    init(_ verification: SnapshotVerification) {
        snapshot = verification.snapshot.id
        whole = verification.problems.isEmpty
        problems = verification.problems
        verdict = VerdictDocument(verification.snapshot.verdict)
    }
}

struct RestoreDocument: Encodable {
    struct Member: Encodable {
        let name: String
        let host: String
    }

    let snapshot: String
    let seconds: Double
    let members: [Member]
    let replayed: UInt64

    init(_ summary: RestoreSummary) {
        snapshot = summary.snapshot
        seconds = Table.rounded(Double(summary.duration) / 1e9, 3)
        members = summary.members.sorted { $0.key < $1.key }.map {
            Member(name: $0.key.rawValue, host: $0.value.rawValue)
        }
        replayed = summary.replayed
    }
}
