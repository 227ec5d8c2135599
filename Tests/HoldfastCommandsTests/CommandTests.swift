import Foundation
import ManagerClient
import SnapshotProtocol
import Testing
import WireProtocol

@Suite struct CommandTests {
    private static let snapshot = SnapshotSummary(
        id: "web-000001-20261121T093000Z", cluster: "web", epoch: Epoch(1), mode: .hold,
        createdAt: 1_795_253_400_000_000_000, sealed: true,
        members: [("a", "pc1", UInt64(1_000_000)), ("b", "pc2", 3_500_000)].map { name, host, start in
            MemberEvidence(
                member: PlannedMember(name: MemberName(name), host: HostName(host), machine: "uuid", nics: []),
                cut: MemberCut(
                    member: MemberName(name), armedAt: 1, cutStartedAt: start, cutEndedAt: start + 1,
                    pause: 16_400_000, method: "background"),
                gate: GateAttestation(
                    member: MemberName(name), held: 12, heldBeforeCut: 5, logged: 4, packetsOutsideEpoch: 0,
                    holdTime: 70_123_456),
                stored: StoredMember(
                    member: MemberName(name),
                    parts: [StoredPart(kind: "memory", path: "p", size: 1_536, sha256: "")], savedAt: 1,
                    requirements: [:]))
        },
        verdict: Verdict(consistent: true, logComplete: false, reasons: ["No marker arrived on a>b."]))

    private static var answers: FakeManager.Answers {
        var answers = FakeManager.Answers()
        answers.agents = [
            AgentStatus(
                host: HostName("pc1"), connected: true, version: "0.1", hypervisors: ["libvirt"],
                lastSeen: 1_795_253_400_000_000_000),
            AgentStatus(host: HostName("pc2"), connected: false, version: "", hypervisors: [], lastSeen: nil),
        ]
        answers.inventory = MachineInventory(
            machines: [
                HostedMachine(
                    host: HostName("pc1"),
                    machine: MachineSummary(
                        uuid: "u", name: "a", state: "running", memory: 128 << 20, nics: [MemberNIC(mac: "m")],
                        diskBytes: 5, hypervisor: "libvirt", requirements: ["lowerCase": "x"],
                        blockers: [Failure(.interfaceWithoutTap, "No tap.")]),
                    cluster: "web")
            ],
            failures: [Failure(.hypervisorUnavailable, "libvirtd hangs on pc2.")])
        answers.clusters = [
            ClusterSummary(
                name: "web",
                members: [.init(name: MemberName("a"), lastHost: HostName("pc1")), .init(name: MemberName("b"))])
        ]
        answers.snapshots = [snapshot]
        return answers
    }

    private func object(_ text: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    private func same(_ text: String, _ expected: String) throws -> Bool {
        let found = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? NSDictionary
        let wanted = try JSONSerialization.jsonObject(with: Data(expected.utf8)) as? NSDictionary
        return found != nil && found == wanted
    }

    // MARK: JSON, word by word: scripts rely on it

    @Test func agentsAsJSON() async throws {
        let run = await CommandRun.run("agents", "--output", "json", answers: Self.answers)
        #expect(run.code == 0)
        #expect(run.error == "")
        #expect(
            try same(
                run.output,
                """
                {"agents":[
                {"host":"pc1","connected":true,"version":"0.1","hypervisors":["libvirt"],"last_seen":"2026-11-21T09:30:00Z"},
                {"host":"pc2","connected":false,"version":"","hypervisors":[]}]}
                """))
    }

    @Test func machinesAsJSON() async throws {
        let run = await CommandRun.run("vms", "--output", "json", answers: Self.answers)
        #expect(run.code == 0)
        #expect(
            try same(
                run.output,
                """
                {"vms":[{"name":"a","host":"pc1","uuid":"u","state":"running","memory_bytes":134217728,"disk_bytes":5,
                "hypervisor":"libvirt","cluster":"web","macs":["m"],"requirements":{"lowerCase":"x"},
                "blockers":[{"code":"interface-without-tap","message":"No tap."}]}],
                "errors":[{"code":"hypervisor-unavailable","message":"libvirtd hangs on pc2."}]}
                """))
    }

    @Test func clustersAsJSON() async throws {
        let one = #"{"name":"web","members":[{"name":"a","last_host":"pc1"},{"name":"b"}]}"#
        let list = await CommandRun.run("cluster", "list", "--output", "json", answers: Self.answers)
        #expect(try same(list.output, #"{"clusters":[\#(one)]}"#))
        let show = await CommandRun.run("cluster", "show", "web", "--output", "json", answers: Self.answers)
        #expect(try same(show.output, #"{"cluster":\#(one)}"#))
        let delete = await CommandRun.run("cluster", "delete", "web", "--output", "json", answers: Self.answers)
        #expect(try same(delete.output, #"{"deleted":{"cluster":"web"}}"#))
        let create = await CommandRun.run(
            "cluster", "create", "web", "--member", "a", "--member", "b", "--output=json", answers: Self.answers)
        #expect(try same(create.output, #"{"cluster":{"name":"web","members":[{"name":"a"},{"name":"b"}]}}"#))
        #expect(create.manager.calls == ["create cluster web [a, b]"])
    }

    @Test(arguments: [["snapshot", "create", "web"], ["snapshot", "show", "web-1"]])
    func snapshotAsJSON(words: [String]) async throws {
        let run = await CommandRun.run(words[0], words[1], words[2], "--output", "json", answers: Self.answers)
        #expect(run.code == 0)
        #expect(run.error == "")
        func member(_ name: String, _ host: String) -> String {
            """
            {"name":"\(name)","host":"\(host)","pause_ms":16.4,"hold_ms":70.123,"held":12,"held_before_cut":5,"logged":4,
            "packets_outside_epoch":0,"method":"background","bytes":1536,"parts":["memory"]}
            """
        }
        #expect(
            try same(
                run.output,
                """
                {"snapshot":{"id":"web-000001-20261121T093000Z","cluster":"web","epoch":1,"mode":"hold",
                "created_at":"2026-11-21T09:30:00Z","sealed":true,"members":[\(member("a", "pc1")),\(member("b", "pc2"))],
                "skew_ms":2.5,"bytes":3072,
                "verdict":{"consistent":true,"log_complete":false,"reasons":["No marker arrived on a>b."]}}}
                """))
    }

    @Test func snapshotListAndDeletionAsJSON() async throws {
        let list = await CommandRun.run("snapshot", "list", "--output", "json", answers: Self.answers)
        let found = try #require(try object(list.output)["snapshots"] as? [[String: Any]])
        #expect(found.compactMap { $0["id"] as? String } == [Self.snapshot.id])
        let delete = await CommandRun.run("snapshot", "delete", "x", "--output", "json", answers: Self.answers)
        #expect(try same(delete.output, #"{"deleted":{"snapshot":"x"}}"#))
        #expect(delete.manager.calls == ["delete snapshot x"])
    }

    @Test func restoreAsJSON() async throws {
        let run = await CommandRun.run("restore", "web-1", "--output", "json", answers: Self.answers)
        #expect(run.code == 0)
        #expect(
            try same(
                run.output,
                """
                {"restore":{"snapshot":"web-1","seconds":1.235,"replayed":7,
                "members":[{"name":"a","host":"pc1"},{"name":"b","host":"pc2"}]}}
                """))
        #expect(run.manager.request == RestoreRequest(snapshot: "web-1"))
    }

    // MARK: Tables

    @Test func tablesAreAligned() async {
        let agents = await CommandRun.run("agents", answers: Self.answers)
        #expect(
            agents.output == """
                HOST  CONNECTED  VERSION  HYPERVISORS  LAST SEEN
                pc1   yes        0.1      libvirt      2026-11-21T09:30:00Z
                pc2   no                               never

                """)
        let snapshot = await CommandRun.run("snapshot", "show", "x", answers: Self.answers)
        #expect(
            snapshot.output == """
                web-000001-20261121T093000Z: cluster web, epoch 1, taken 2026-11-21T09:30:00Z
                consistent, logs may lack segments; 2.5 ms between the first cut and the last
                MEMBER  HOST  PAUSE MS  HOLD MS  HELD  LOGGED  SIZE     METHOD
                a       pc1   16.4      70.1     12    4       1.5 KiB  background
                b       pc2   16.4      70.1     12    4       1.5 KiB  background
                No marker arrived on a>b.

                """)
    }

    @Test func hostsThatCouldNotSayAreNamedBesideTheTable() async {
        let run = await CommandRun.run("vms", answers: Self.answers)
        #expect(run.output.contains("No tap."))
        #expect(run.error == "holdfast: libvirtd hangs on pc2.\n")
    }

    // MARK: Errors and exit codes

    @Test(arguments: FailureCode.allCases) func everyFailureHasItsExitCode(code: FailureCode) async throws {
        var answers = Self.answers
        answers.error = ManagerCallError([Failure(code, member: MemberName("a"), "Why.")])
        let table = await CommandRun.run("snapshot", "create", "web", answers: answers)
        #expect(table.code == code.exitCode)
        #expect(table.output == "")
        #expect(table.error == "holdfast: a: Why.\n")
        let json = await CommandRun.run("restore", "web", "--output", "json", answers: answers)
        #expect(json.code == code.exitCode)
        #expect(json.output == "")
        #expect(try same(json.error, #"{"error":{"code":"\#(code.rawValue)","message":"a: Why."}}"#))
    }

    @Test func severalFailuresAreAllSaid() async throws {
        var answers = Self.answers
        answers.error = ManagerCallError([Failure(.machineNotRunning, "One."), Failure(.noSpace, "Two.")])
        let run = await CommandRun.run("snapshot", "create", "web", answers: answers)
        #expect(run.code == FailureCode.machineNotRunning.exitCode)
        #expect(run.error == "holdfast: One.\nholdfast: Two.\n")
    }

    @Test func exitCodesAreUniqueAndListed() async {
        #expect(Set(FailureCode.allCases.map(\.exitCode)).count == FailureCode.allCases.count)
        for words in [["exit-codes"], ["help", "exit-codes"]] {
            let run = await (words.count == 1 ? CommandRun.run(words[0]) : CommandRun.run(words[0], words[1]))
            #expect(run.code == 0)
            for code in FailureCode.allCases { #expect(run.output.contains("\(code.exitCode)")) }
            #expect(run.output.contains("originals-running"))
        }
    }

    @Test func aDamagedSnapshotIsAnswerAndFailure() async throws {
        let whole = await CommandRun.run("snapshot", "verify", "x", answers: Self.answers)
        #expect(whole.code == 0)
        var answers = Self.answers
        answers.problems = ["memory of a is not as it was stored."]
        let table = await CommandRun.run("snapshot", "verify", "x", answers: answers)
        #expect(table.code == FailureCode.snapshotDamaged.exitCode)
        #expect(table.output.contains("memory of a is not as it was stored."))
        #expect(table.error == "")
        let json = await CommandRun.run("snapshot", "verify", "x", "--output", "json", answers: answers)
        #expect(json.code == FailureCode.snapshotDamaged.exitCode)
        let found = try #require(try object(json.output)["verification"] as? [String: Any])
        #expect(found["whole"] as? Bool == false)
    }

    @Test func badCommandLinesCallNobody() async throws {
        for words in [
            ["bogus", "x", "y"], ["restore", "s", "--place=a"], ["restore", "s", "--place==b"],
            ["cluster", "create", "web"], ["snapshot", "create", "web", "--mode=colourful"],
            ["agents", "--output", "xml"],
        ] {
            let run = await CommandRun.run(words)
            #expect(run.code == 64, "\(words)")
            #expect(run.output == "")
            #expect(run.error != "")
            #expect(run.manager.calls == [])
        }
        let twice = await CommandRun.run("restore", "s", "--place", "a=x", "--place", "a=y", "--output", "json")
        #expect(twice.code == 64)
        #expect(try same(twice.error, #"{"error":{"code":"usage","message":"a is placed twice."}}"#))
    }

    @Test func snapshotModes() async {
        for mode in ModeChoice.allCases {
            let run = await CommandRun.run(
                "snapshot", "create", "web", "--mode", mode.rawValue, answers: Self.answers)
            #expect(run.manager.calls == ["create snapshot web in mode \(mode.rawValue)"])
        }
        let run = await CommandRun.run("snapshot", "create", "web", answers: Self.answers)
        #expect(run.manager.calls == ["create snapshot web in mode hold"])
    }

    /// Not only on a terminal: whoever asked for colour mode ought to find it in the log of the job.
    @Test func whoeverGetsAnotherModeIsTold() async {
        var answers = Self.answers
        answers.fallBack = "The path of a>b takes the colour off."
        let run = await CommandRun.run("snapshot", "create", "web", "--mode", "colour", answers: answers)
        #expect(run.code == 0)
        #expect(run.error == "The snapshot goes on in hold mode. The path of a>b takes the colour off.\n")
    }

    @Test func helpGoesToStandardOutput() async {
        let run = await CommandRun.run("--help")
        #expect(run.code == 0)
        #expect(run.output.contains("snapshot"))
        #expect(run.error == "")
    }

    // MARK: Options

    @Test func optionsOfARestoreAreHandedOver() async {
        let run = await CommandRun.run(
            "restore", "s", "--place", "a=b=pc1", "--place", "c=pc2", "--replace", "--lost", "pc3", "--lost", "pc4",
            "--no-replay", "--no-verify")
        #expect(
            run.manager.request
                == RestoreRequest(
                    snapshot: "s", placements: [MemberName("a=b"): HostName("pc1"), MemberName("c"): HostName("pc2")],
                    replaceRunning: true, lostHosts: [HostName("pc3"), HostName("pc4")], replayLogs: false,
                    verify: false))
    }

    @Test func theManagerIsFoundByOptionThenEnvironmentThenCredentials() async {
        let variables = ["HOLDFAST_MANAGER": "env:1", "HOLDFAST_CREDENTIALS": "/env"]
        #expect(await CommandRun.run("agents").dialled == [nil, "/etc/holdfast"])
        #expect(await CommandRun.run("agents", variables: variables).dialled == ["env:1", "/env"])
        let run = await CommandRun.run(
            "agents", "--manager", "option:1", "--credentials", "/option", variables: variables)
        #expect(run.dialled == ["option:1", "/option"])
    }

    @Test func aManagerThatCannotBeDialledIsAFailureLikeAnyOther() async {
        let run = await CommandRun.run("agents", dial: ManagerCallError(.unauthorized, "No credentials."))
        #expect(run.code == FailureCode.unauthorized.exitCode)
        #expect(run.error == "holdfast: No credentials.\n")
    }

    // MARK: Progress

    @Test func progressIsForTerminalsOnly() async {
        let pipe = await CommandRun.run("snapshot", "create", "web", answers: Self.answers)
        #expect(pipe.error == "")
        let terminal = await CommandRun.run("snapshot", "create", "web", answers: Self.answers, isInteractive: true)
        #expect(terminal.error.contains("arming 1.0 KiB of 2.0 KiB"))
        #expect(terminal.error.hasSuffix("\r\u{1B}[K"))
        #expect(terminal.output == pipe.output)
    }

    @Test func progressThatCannotBeIsShownAllTheSame() async {
        var answers = Self.answers
        answers.boasting = ["a", "b"]
        let run = await CommandRun.run("snapshot", "create", "web", answers: answers, isInteractive: true)
        #expect(run.code == 0)
        #expect(run.error.contains("arming 16.0 EiB of 16.0 EiB"))
    }

    @Test(arguments: ["table", "json"]) func aTerminalObeysNothingThatOthersSay(format: String) async {
        var answers = Self.answers
        answers.agents[0].version = "1\u{1B}]0;x\u{7}\r\u{9B}2J"
        answers.inventory.failures[0].message = "\u{1B}[2J"
        for verb in ["agents", "vms"] {
            let run = await CommandRun.run(verb, "--output", format, answers: answers)
            #expect(run.code == 0)
            #expect(!(run.output + run.error).utf8.contains { $0 < 0x20 && $0 != UInt8(ascii: "\n") })
        }
        answers.error = ManagerCallError([Failure(.busy, "Why\u{1B}[2J.")])
        let run = await CommandRun.run("agents", "--output", format, answers: answers)
        #expect(!run.error.utf8.contains { $0 < 0x20 && $0 != UInt8(ascii: "\n") })
    }
}
