package import SnapshotProtocol
internal import SwiftProtobuf

extension Holdfast_V1_RestoredMember {
    package init(_ member: RestoredMember) {
        self.init()
        name = member.name.rawValue
        host = member.host.rawValue
        machine = member.machine
        nics = member.nics.map(Holdfast_V1_MemberNic.init)
        parts = member.parts.map(Holdfast_V1_StoredPart.init)
        requirements = member.requirements
    }
}

extension RestoredMember {
    package init(_ wire: Holdfast_V1_RestoredMember) {
        self.init(
            name: MemberName(wire.name), host: HostName(wire.host), machine: wire.machine,
            nics: wire.nics.map { MemberNIC($0) }, parts: wire.parts.map { StoredPart($0) },
            requirements: wire.requirements)
    }
}

extension Holdfast_V1_RestorePlan {
    package init(_ plan: RestorePlan) {
        self.init()
        snapshot = plan.snapshot
        cluster = plan.cluster
        members = plan.members.map(Holdfast_V1_RestoredMember.init)
        replaceRunning = plan.replaceRunning
        replayLogs = plan.replayLogs
    }
}

extension RestorePlan {
    package init(_ wire: Holdfast_V1_RestorePlan) {
        self.init(
            snapshot: wire.snapshot, cluster: wire.cluster, members: wire.members.map { RestoredMember($0) },
            replaceRunning: wire.replaceRunning, replayLogs: wire.replayLogs)
    }
}

extension Holdfast_V1_RestoreCommand {
    package init(_ command: RestoreCommand) {
        self.init()
        self.command =
            switch command {
            case .fence(let plan): .fence(Holdfast_V1_RestorePlan(plan))
            case .load: .load(Holdfast_V1_Nothing())
            case .replay: .replay(Holdfast_V1_Nothing())
            case .open: .open(Holdfast_V1_Nothing())
            case .start: .start(Holdfast_V1_Nothing())
            case .finish: .finish(Holdfast_V1_Nothing())
            case .discard(let reason): .discard(Holdfast_V1_Reason(reason))
            }
    }
}

extension RestoreCommand {
    package init(_ wire: Holdfast_V1_RestoreCommand) throws(WireError) {
        switch wire.command {
        case nil: throw .absent("restore command")
        case .fence(let plan): self = .fence(RestorePlan(plan))
        case .load: self = .load
        case .replay: self = .replay
        case .open: self = .open
        case .start: self = .start
        case .finish: self = .finish
        case .discard(let reason): self = .discard(reason: reason.reason)
        }
    }
}

extension Holdfast_V1_RestoreReport {
    package init(_ report: RestoreReport) {
        self.init()
        self.report =
            switch report {
            case .fenced: .fenced(Holdfast_V1_Nothing())
            case .refused(let failures): .refused(Holdfast_V1_FailureList(failures))
            case .loaded: .loaded(Holdfast_V1_Nothing())
            case .replayed(let segments): .replayed(.with { $0.segments = segments })
            case .opened: .opened(Holdfast_V1_Nothing())
            case .started: .started(Holdfast_V1_Nothing())
            case .finished: .finished(Holdfast_V1_Nothing())
            case .failed(let failure): .failed(Holdfast_V1_Failure(failure))
            case .discarded: .discarded(Holdfast_V1_Nothing())
            }
    }
}

extension RestoreReport {
    package init(_ wire: Holdfast_V1_RestoreReport) throws(WireError) {
        switch wire.report {
        case nil: throw .absent("restore report")
        case .fenced: self = .fenced
        case .refused(let list): self = .refused(try [Failure](list))
        case .loaded: self = .loaded
        case .replayed(let replayed): self = .replayed(segments: replayed.segments)
        case .opened: self = .opened
        case .started: self = .started
        case .finished: self = .finished
        case .failed(let failure): self = .failed(try Failure(failure))
        case .discarded: self = .discarded
        }
    }
}
