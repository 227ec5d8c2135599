import SnapshotProtocol
import WireProtocol

/// One value of every shape, no field of it at its default.
enum Samples {
    static let failures = FailureCode.allCases.flatMap { code in
        [
            Failure(code, "Why."), Failure(code, member: MemberName("a b"), "Why."),
            Failure(code, member: MemberName(""), ""),
        ]
    }
    static let channel = Channel(sender: MemberName("a"), receiver: MemberName("b"))
    static let nic = MemberNIC(mac: "52:54:00:00:00:01")
    static let planned = PlannedMember(
        name: MemberName("a"), host: HostName("pc1"), machine: "uuid", nics: [nic, MemberNIC(mac: "x")])
    static let plan = SnapshotPlan(
        snapshot: "web-1", cluster: "web", epoch: Epoch(.max), mode: .hold, members: [planned],
        markerKey: (0..<32).map { UInt8($0) }, holdBudget: 1_000, flushBound: 100)
    static let cut = MemberCut(
        member: MemberName("a"), armedAt: 1, cutStartedAt: 2, cutEndedAt: 3, pause: 4, method: "background")
    static let gate = GateAttestation(
        member: MemberName("a"), held: 1, heldBeforeCut: 2, logged: 3, overflowed: 4, foreignChanges: 5,
        unbroken: false, watchdogFired: true, packetsOutsideEpoch: 6, markersMissing: [channel],
        bleached: [channel], releasedAt: 7, holdTime: 8)
    static let part = StoredPart(kind: "memory", path: "a/memory", size: .max, sha256: "00ff")
    static let stored = StoredMember(
        member: MemberName("a"), parts: [part], savedAt: 9, requirements: ["cpu": "v3", "arch": "x86_64"])
    static let evidence = MemberEvidence(member: planned, cut: cut, gate: gate, stored: stored)
    static let verdict = Verdict(consistent: true, logComplete: true, reasons: ["One.", "Two."])

    static let colourPlan: SnapshotPlan = {
        var colour = Samples.plan
        colour.mode = .colour
        colour.colourBudget = .max
        return colour
    }()
    static let snapshotCommands: [SnapshotCommand] = [
        .prepare(plan), .prepare(colourPlan), .arm(.hold), .arm(.colour), .flush, .cut, .settle, .release, .seal,
        .abort(reason: "why"), .abort(reason: ""),
    ]
    static let snapshotReports: [SnapshotReport] =
        [
            .prepared, .refused([]), .refused(failures), .armed(.hold), .armed(.colour), .flushed(.hold),
            .flushed(.hold, missing: [channel]),
            .flushed(.colour, bleached: [channel]),
            .cut([]), .cut([cut]), .settled, .released([]), .released([gate]), .saved([]), .saved([stored]), .sealed,
            .aborted,
        ] + failures.map { .failed($0) }

    static let restored = RestoredMember(
        name: MemberName("a"), host: HostName("pc2"), machine: "uuid", nics: [nic], parts: [part],
        requirements: ["cpu": "v3"])
    static let restorePlans = [(true, false), (false, true)].map { replace, replay in
        RestorePlan(
            snapshot: "web-1", cluster: "web", members: [restored], replaceRunning: replace, replayLogs: replay)
    }
    static let restoreCommands: [RestoreCommand] =
        restorePlans.map { .fence($0) } + [.load, .replay, .open, .start, .finish, .discard(reason: "why")]
    static let restoreReports: [RestoreReport] =
        [
            .fenced, .refused([]), .refused(failures), .loaded, .replayed(segments: 0), .replayed(segments: .max),
            .opened, .started, .finished, .discarded,
        ] + failures.map { .failed($0) }

    static let machine = MachineSummary(
        uuid: "uuid", name: "a", state: "running", memory: 1, nics: [nic], diskBytes: 2, hypervisor: "libvirt",
        requirements: ["machine": "q35"], blockers: failures)
    static let agentMessages: [AgentMessage] =
        [
            .hello(AgentHello(host: HostName("pc1"), version: "1", hypervisors: ["libvirt"], offers: ["cpu": "v3"])),
            .machines(request: 1, .success([])), .machines(request: .max, .success([machine])),
            .progress(cluster: "web", epoch: Epoch(1), member: MemberName("a"), stored: 1, total: 2),
            .examination(request: 1, .success([])), .examination(request: .max, .success(findings)),
            .time(request: 1, .max), .time(request: .max, 1),
        ] + failures.map { .machines(request: 0, .failure($0)) }
        + failures.map { .examination(request: 0, .failure($0)) }
        + pathTestReports.map { .pathTest(id: 9, $0) }
        + snapshotReports.map { .snapshot(cluster: "web", epoch: Epoch(3), $0) }
        + restoreReports.map { .restore(id: 7, $0) }
    static let managerMessages: [ManagerMessage] =
        [.listMachines(request: 0), .listMachines(request: .max)]
        + snapshotCommands.map { .snapshot(cluster: "web", epoch: Epoch(3), $0) }
        + restoreCommands.map { .restore(id: .max, $0) }
        + [
            .examine(request: 1, machines: []), .examine(request: .max, machines: ["a", ""]), .tellTime(request: .max),
            .pathTest(id: 1, .arm(pathTestPlan)), .pathTest(id: .max, .probe), .pathTest(id: 0, .end),
        ]

    static let findings: [Finding] = [
        FindingSubject.manager, .cluster("web"), .desktop(HostName("pc1")), .machine("a", on: nil),
        .machine("a", on: HostName("")), .machine("a", on: HostName("pc1")),
        .nic("52:54:00:00:00:01", of: "a", on: nil), .disk("vda", of: "a", on: HostName("pc1")), .channel(channel),
    ].flatMap { subject in
        FindingLevel.allCases.map {
            Finding(check: "rights", subject: subject, level: $0, text: "What.", remedy: "How.")
        }
    }
    static let pathTestPlan = PathTestPlan(
        id: .max, cluster: "web", members: [planned], markerKey: plan.markerKey, budget: 1)
    static let pathTestReports: [PathTestReport] =
        [
            .armed, .heard, .ended([]),
            .ended([
                ProbeArrival(channel: channel, afterOwn: .min, bleached: true, local: false),
                ProbeArrival(channel: channel, afterOwn: .max, bleached: false, local: true),
            ]),
        ] + failures.map { .failed($0) }

    static let snapshot = SnapshotSummary(
        id: "web-1", cluster: "web", epoch: Epoch(1), mode: .hold, createdAt: 5, sealed: true, members: [evidence],
        verdict: verdict)
}
