package import SnapshotProtocol
internal import SwiftProtobuf

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

extension Holdfast_V1_SnapshotMode {
    package init(_ mode: SnapshotMode) {
        self =
            switch mode {
            case .hold: .hold
            case .colour: .colour
            }
    }
}

extension SnapshotMode {
    package init(_ wire: Holdfast_V1_SnapshotMode) throws(WireError) {
        switch wire {
        case .unspecified: throw .absent("snapshot mode")
        case .UNRECOGNIZED(let number): throw .unknown("snapshot mode", number)
        case .hold: self = .hold
        case .colour: self = .colour
        }
    }
}

extension Holdfast_V1_MemberNic {
    package init(_ nic: MemberNIC) {
        self.init()
        mac = nic.mac
    }
}

extension MemberNIC {
    package init(_ wire: Holdfast_V1_MemberNic) { self.init(mac: wire.mac) }
}

extension Holdfast_V1_PlannedMember {
    package init(_ member: PlannedMember) {
        self.init()
        name = member.name.rawValue
        host = member.host.rawValue
        machine = member.machine
        nics = member.nics.map(Holdfast_V1_MemberNic.init)
    }
}

extension PlannedMember {
    package init(_ wire: Holdfast_V1_PlannedMember) {
        self.init(
            name: MemberName(wire.name), host: HostName(wire.host), machine: wire.machine,
            nics: wire.nics.map { MemberNIC($0) })
    }
}

extension Holdfast_V1_Channel {
    package init(_ channel: Channel) {
        self.init()
        sender = channel.sender.rawValue
        receiver = channel.receiver.rawValue
    }
}

extension Channel {
    package init(_ wire: Holdfast_V1_Channel) {
        self.init(sender: MemberName(wire.sender), receiver: MemberName(wire.receiver))
    }
}

extension Holdfast_V1_SnapshotPlan {
    package init(_ plan: SnapshotPlan) {
        self.init()
        snapshot = plan.snapshot
        cluster = plan.cluster
        epoch = plan.epoch.rawValue
        mode = Holdfast_V1_SnapshotMode(plan.mode)
        members = plan.members.map(Holdfast_V1_PlannedMember.init)
        markerKey = Data(plan.markerKey)
        holdBudget = plan.holdBudget
        colourBudget = plan.colourBudget
        flushBound = plan.flushBound
    }
}

extension SnapshotPlan {
    package init(_ wire: Holdfast_V1_SnapshotPlan) throws(WireError) {
        self.init(
            snapshot: wire.snapshot, cluster: wire.cluster, epoch: Epoch(wire.epoch),
            mode: try SnapshotMode(wire.mode), members: wire.members.map { PlannedMember($0) },
            markerKey: [UInt8](wire.markerKey), holdBudget: wire.holdBudget, colourBudget: wire.colourBudget,
            flushBound: wire.flushBound)
    }
}

extension Holdfast_V1_SnapshotCommand {
    package init(_ command: SnapshotCommand) {
        self.init()
        self.command =
            switch command {
            case .prepare(let plan): .prepare(Holdfast_V1_SnapshotPlan(plan))
            case .arm(let mode): .arm(.with { $0.mode = Holdfast_V1_SnapshotMode(mode) })
            case .flush: .flush(Holdfast_V1_Nothing())
            case .cut: .cut(Holdfast_V1_Nothing())
            case .settle: .settle(Holdfast_V1_Nothing())
            case .release: .release(Holdfast_V1_Nothing())
            case .seal: .seal(Holdfast_V1_Nothing())
            case .abort(let reason): .abort(Holdfast_V1_Reason(reason))
            }
    }
}

extension Holdfast_V1_Reason {
    init(_ reason: String) {
        self.init()
        self.reason = reason
    }
}

extension SnapshotCommand {
    package init(_ wire: Holdfast_V1_SnapshotCommand) throws(WireError) {
        switch wire.command {
        case nil: throw .absent("snapshot command")
        case .prepare(let plan): self = .prepare(try SnapshotPlan(plan))
        case .arm(let arm): self = .arm(try SnapshotMode(arm.mode))
        case .flush: self = .flush
        case .cut: self = .cut
        case .settle: self = .settle
        case .release: self = .release
        case .seal: self = .seal
        case .abort(let reason): self = .abort(reason: reason.reason)
        }
    }
}

extension Holdfast_V1_MemberCut {
    package init(_ cut: MemberCut) {
        self.init()
        member = cut.member.rawValue
        armedAt = cut.armedAt
        cutStartedAt = cut.cutStartedAt
        cutEndedAt = cut.cutEndedAt
        pause = cut.pause
        method = cut.method
    }
}

extension MemberCut {
    package init(_ wire: Holdfast_V1_MemberCut) {
        self.init(
            member: MemberName(wire.member), armedAt: wire.armedAt, cutStartedAt: wire.cutStartedAt,
            cutEndedAt: wire.cutEndedAt, pause: wire.pause, method: wire.method)
    }
}

extension Holdfast_V1_GateAttestation {
    package init(_ gate: GateAttestation) {
        self.init()
        member = gate.member.rawValue
        held = gate.held
        heldBeforeCut = gate.heldBeforeCut
        logged = gate.logged
        overflowed = gate.overflowed
        foreignChanges = gate.foreignChanges
        unbroken = gate.unbroken
        watchdogFired = gate.watchdogFired
        packetsOutsideEpoch = gate.packetsOutsideEpoch
        markersMissing = gate.markersMissing.map(Holdfast_V1_Channel.init)
        releasedAt = gate.releasedAt
        holdTime = gate.holdTime
        bleached = gate.bleached.map(Holdfast_V1_Channel.init)
    }
}

extension GateAttestation {
    package init(_ wire: Holdfast_V1_GateAttestation) {
        self.init(
            member: MemberName(wire.member), held: wire.held, heldBeforeCut: wire.heldBeforeCut, logged: wire.logged,
            overflowed: wire.overflowed, foreignChanges: wire.foreignChanges, unbroken: wire.unbroken,
            watchdogFired: wire.watchdogFired, packetsOutsideEpoch: wire.packetsOutsideEpoch,
            markersMissing: wire.markersMissing.map { Channel($0) }, bleached: wire.bleached.map { Channel($0) },
            releasedAt: wire.releasedAt, holdTime: wire.holdTime)
    }
}

extension Holdfast_V1_StoredPart {
    package init(_ part: StoredPart) {
        self.init()
        kind = part.kind
        path = part.path
        size = part.size
        sha256 = part.sha256
    }
}

extension StoredPart {
    package init(_ wire: Holdfast_V1_StoredPart) {
        self.init(kind: wire.kind, path: wire.path, size: wire.size, sha256: wire.sha256)
    }
}

extension Holdfast_V1_StoredMember {
    package init(_ stored: StoredMember) {
        self.init()
        member = stored.member.rawValue
        parts = stored.parts.map(Holdfast_V1_StoredPart.init)
        savedAt = stored.savedAt
        requirements = stored.requirements
    }
}

extension StoredMember {
    package init(_ wire: Holdfast_V1_StoredMember) {
        self.init(
            member: MemberName(wire.member), parts: wire.parts.map { StoredPart($0) }, savedAt: wire.savedAt,
            requirements: wire.requirements)
    }
}

extension Holdfast_V1_SnapshotReport {
    package init(_ report: SnapshotReport) {
        self.init()
        self.report =
            switch report {
            case .prepared: .prepared(Holdfast_V1_Nothing())
            case .refused(let failures): .refused(Holdfast_V1_FailureList(failures))
            case .armed(let mode): .armed(.with { $0.mode = Holdfast_V1_SnapshotMode(mode) })
            case .flushed(let mode, let missing, let bleached):
                .flushed(
                    .with {
                        $0.mode = Holdfast_V1_SnapshotMode(mode)
                        $0.missing = missing.map(Holdfast_V1_Channel.init)
                        $0.bleached = bleached.map(Holdfast_V1_Channel.init)
                    })
            case .cut(let cuts): .cut(.with { $0.cuts = cuts.map(Holdfast_V1_MemberCut.init) })
            case .settled: .settled(Holdfast_V1_Nothing())
            case .released(let gates):
                .released(.with { $0.gates = gates.map(Holdfast_V1_GateAttestation.init) })
            case .saved(let members): .saved(.with { $0.members = members.map(Holdfast_V1_StoredMember.init) })
            case .sealed: .sealed(Holdfast_V1_Nothing())
            case .failed(let failure): .failed(Holdfast_V1_Failure(failure))
            case .aborted: .aborted(Holdfast_V1_Nothing())
            }
    }
}

extension SnapshotReport {
    package init(_ wire: Holdfast_V1_SnapshotReport) throws(WireError) {
        switch wire.report {
        case nil: throw .absent("snapshot report")
        case .prepared: self = .prepared
        case .refused(let list): self = .refused(try [Failure](list))
        case .armed(let arm): self = .armed(try SnapshotMode(arm.mode))
        case .flushed(let flushed):
            self = .flushed(
                try SnapshotMode(flushed.mode), missing: flushed.missing.map { Channel($0) },
                bleached: flushed.bleached.map { Channel($0) })
        case .cut(let cuts): self = .cut(cuts.cuts.map { MemberCut($0) })
        case .settled: self = .settled
        case .released(let gates): self = .released(gates.gates.map { GateAttestation($0) })
        case .saved(let members): self = .saved(members.members.map { StoredMember($0) })
        case .sealed: self = .sealed
        case .failed(let failure): self = .failed(try Failure(failure))
        case .aborted: self = .aborted
        }
    }
}

extension Holdfast_V1_MemberEvidence {
    package init(_ evidence: MemberEvidence) {
        self.init()
        member = Holdfast_V1_PlannedMember(evidence.member)
        cut = Holdfast_V1_MemberCut(evidence.cut)
        gate = Holdfast_V1_GateAttestation(evidence.gate)
        stored = Holdfast_V1_StoredMember(evidence.stored)
    }
}

extension MemberEvidence {
    package init(_ wire: Holdfast_V1_MemberEvidence) throws(WireError) {
        guard wire.hasMember else { throw .absent("planned member in the evidence") }
        guard wire.hasCut else { throw .absent("cut in the evidence") }
        guard wire.hasGate else { throw .absent("gate in the evidence") }
        guard wire.hasStored else { throw .absent("stored parts in the evidence") }
        self.init(
            member: PlannedMember(wire.member), cut: MemberCut(wire.cut), gate: GateAttestation(wire.gate),
            stored: StoredMember(wire.stored))
    }
}

extension Holdfast_V1_Verdict {
    package init(_ verdict: Verdict) {
        self.init()
        consistent = verdict.consistent
        logComplete = verdict.logComplete
        reasons = verdict.reasons
    }
}

extension Verdict {
    package init(_ wire: Holdfast_V1_Verdict) {
        self.init(consistent: wire.consistent, logComplete: wire.logComplete, reasons: wire.reasons)
    }
}
