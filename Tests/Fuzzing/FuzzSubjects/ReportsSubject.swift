import SnapshotManager
import SnapshotProtocol
import SwiftProtobuf
import WireProtocol

@testable import SnapshotStore

/// The pieces are what two agents send to a manager that takes a snapshot of a member on each, and restores it. Each
/// begins with an octet that says who sends it, or what else happens.
enum ReportsSubject {
    private static let hosts = [HostName("d1"), HostName("d2")]

    private static let plan = SnapshotPlan(
        snapshot: "s", cluster: "c", epoch: Epoch(1), mode: .colour,
        members: zip(["a", "b"], hosts).map { name, host in
            PlannedMember(name: MemberName(name), host: host, machine: "uuid-\(name)", nics: [])
        },
        markerKey: [UInt8](repeating: 7, count: 32), holdBudget: 1_000, flushBound: 100)

    private static let restored = RestorePlan(
        snapshot: "s", cluster: "c",
        members: plan.members.map {
            RestoredMember(
                name: $0.name, host: $0.host, machine: $0.machine, nics: [], parts: [], requirements: [:])
        }, replaceRunning: false, replayLogs: true)

    static func run(_ bytes: [UInt8]) throws {
        var epoch = Epoching()
        var restore = Restoring()
        var pathTest = Probing()
        try pathTest.happen(.start)
        try epoch.happen(.start)
        try restore.happen(.start)
        for piece in Pieces(bytes) {
            guard let kind = piece.first else { continue }
            let host = hosts[Int(kind & 1)]
            switch kind >> 1 & 3 {
            case 3 where kind >> 3 == 0:
                try epoch.happen(.hostLost(host))
                try restore.happen(.hostLost(host))
                try pathTest.happen(.hostLost(host))
            case 3 where kind >> 3 == 1:
                try epoch.happen(.cancel)
                try restore.happen(.cancel)
                try pathTest.happen(.cancel)
            default:
                let wire = try? Holdfast_V1_AgentMessage(serializedBytes: Array(piece.dropFirst()))
                switch wire.flatMap({ try? AgentMessage($0) }) {
                case .snapshot(_, _, let report): try epoch.happen(.report(report, from: host))
                case .restore(_, let report): try restore.happen(.report(report, from: host))
                case .pathTest(_, let report): try pathTest.happen(.report(report, from: host))
                case .hello, .machines, .progress, .examination, .time, nil: continue
                }
            }
        }
        try epoch.end()
        try restore.end()
        try pathTest.end()
    }

    private struct Probing {
        private static let plan = PathTestPlan(
            id: 1, cluster: "c", members: ReportsSubject.plan.members, markerKey: ReportsSubject.plan.markerKey,
            budget: 1_000)

        private var coordinator = PathTestCoordinator(plan: Self.plan)
        private var outcome: PathTestCoordinator.Outcome?

        mutating func happen(_ event: PathTestCoordinator.Event, at now: Tick = Tick(0)) throws {
            let actions = coordinator.handle(event, at: now)
            try Broken.unless(outcome == nil || actions.isEmpty, "A path test that has ended wants something.")
            for action in actions { if case .finished(let outcome) = action { self.outcome = outcome } }
        }

        mutating func end() throws {
            for now in [10_000, 20_000, 40_000] as [UInt64] where outcome == nil { try happen(.tick, at: Tick(now)) }
            guard let outcome else { throw Broken(description: "A path test does not end.") }
            for finding in PathFindings.all(plan: Self.plan, outcome: outcome) {
                try Broken.unless(
                    Check(rawValue: finding.check) != nil, "A check of no name: \(finding.check.debugDescription).")
            }
        }
    }

    private struct Epoching {
        private var coordinator = SnapshotCoordinator(plan: ReportsSubject.plan)
        private var outcome: SnapshotCoordinator.Outcome?
        private var written: [MemberEvidence]?

        mutating func happen(_ event: SnapshotCoordinator.Event, at now: Tick = Tick(0)) throws {
            let actions = coordinator.handle(event, at: now)
            try Broken.unless(outcome == nil || actions.isEmpty, "An epoch that has ended wants something.")
            var next: SnapshotCoordinator.Event?
            for action in actions {
                switch action {
                case .seal(let evidence, let verdict, let mode): next = try seal(evidence, verdict, mode)
                case .finished(let outcome): self.outcome = outcome
                case .discard: try Broken.unless(written == nil, "What a manifest lists is discarded.")
                case .send, .enter, .fallBack: continue
                }
            }
            if let next { try happen(next) }
        }

        private mutating func seal(
            _ evidence: [MemberEvidence], _ verdict: Verdict, _ mode: SnapshotMode
        ) throws -> SnapshotCoordinator.Event {
            let plan = ReportsSubject.plan
            try Broken.unless(verdict.consistent, "What is not consistent is sealed.")
            try Broken.unless(evidence.map(\.member) == plan.members, "A member came or went.")
            let manifest = SnapshotManifest(
                id: plan.snapshot, cluster: plan.cluster, epoch: plan.epoch, mode: mode, createdAt: 1,
                members: evidence)
            if let flaw = manifest.flaw { return .manifestFailed(Failure(.internalError, flaw.why)) }
            try Broken.unless(
                try ManifestFile.decode(ManifestFile.encode(manifest)) == manifest,
                "A manifest is written otherwise than read.")
            written = evidence
            return .manifestWritten
        }

        mutating func end() throws {
            for _ in 0..<3 where outcome == nil { try happen(.tick, at: Tick(.max)) }
            switch outcome {
            case .sealed(let evidence, _, _): try Broken.unless(written == evidence, "Sealed without a manifest.")
            case .aborted: try Broken.unless(written == nil, "Aborted with a manifest.")
            case nil: throw Broken(description: "An epoch does not end.")
            }
        }
    }

    private struct Restoring {
        private var coordinator = RestoreCoordinator(plan: ReportsSubject.restored, reachable: ReportsSubject.hosts)
        private var outcome: RestoreCoordinator.Outcome?
        private var wasStarted = false

        mutating func happen(_ event: RestoreCoordinator.Event, at now: Tick = Tick(0)) throws {
            let actions = coordinator.handle(event, at: now)
            try Broken.unless(outcome == nil || actions.isEmpty, "A restore that has ended wants something.")
            for action in actions {
                switch action {
                case .send(.start, _): wasStarted = true
                case .finished(let outcome): self.outcome = outcome
                case .send, .enter: continue
                }
            }
        }

        mutating func end() throws {
            for _ in 0..<3 where outcome == nil { try happen(.tick, at: Tick(.max)) }
            switch outcome {
            case .restored: try Broken.unless(wasStarted, "Nothing was started, and yet it is restored.")
            case .refused, .failed: break
            case nil: throw Broken(description: "A restore does not end.")
            }
        }
    }
}
