import Foundation
import HoldfastCommands
import SnapshotProtocol
import Testing
import WireProtocol

@Suite struct DoctorTests {
    private let pc1 = HostName("pc1")
    private let pc2 = HostName("pc2")

    private func answers(_ findings: [Finding]) -> FakeManager.Answers {
        var answers = FakeManager.Answers()
        answers.findings = findings
        return answers
    }

    private var sound: [Finding] { [Finding(.rights, .desktop(pc1), ok: "It has all rights.")] }
    private var warned: [Finding] {
        sound + [Finding(.clock, .desktop(pc2), .warning, "It is late.", remedy: "Set it.")]
    }
    private var blocked: [Finding] {
        warned + [
            Finding(.nic, .nic("52:54:00:00:00:01", of: "db", on: pc2), .blocker, "It has no tap.", remedy: "Give it one."),
            Finding(.member, .machine("ghost", on: nil), .blocker, "Nobody knows it.", remedy: ""),
            Finding(
                .path, .channel(Channel(sender: MemberName("a"), receiver: MemberName("b"))), .warning, "Lost.",
                remedy: "Find it."),
            Finding(.repository, .manager, ok: "It is there."),
        ]
    }

    @Test func whatIsAskedForIsWhatTheManagerIsAsked() async {
        for (arguments, call) in [
            (["doctor"], "diagnose desktops"), (["doctor", "--host", "pc1"], "diagnose desktop(pc1)"),
            (["doctor", "web"], "diagnose cluster(\"web\")"),
        ] {
            let run = await CommandRun.run(arguments, answers: answers(sound))
            #expect(run.code == 0)
            #expect(run.manager.calls == [call])
        }
        let both = await CommandRun.run("doctor", "web", "--host", "pc1")
        #expect(both.code == FailureCode.usage.exitCode)
    }

    @Test func onlyBlockersFailUnlessItIsStrict() async {
        #expect(await CommandRun.run("doctor", answers: answers(sound)).code == 0)
        #expect(await CommandRun.run("doctor", answers: answers(warned)).code == 0)
        #expect(await CommandRun.run("doctor", "--strict", answers: answers(sound)).code == 0)
        #expect(await CommandRun.run("doctor", "--strict", answers: answers(warned)).code == 33)
        #expect(await CommandRun.run("doctor", answers: answers(blocked)).code == 33)
        let list = await CommandRun.run("exit-codes")
        #expect(list.output.contains("33  blockers-found"))
    }

    @Test func problemsAreShownByDesktopAndMember() async {
        let run = await CommandRun.run("doctor", answers: answers(blocked))
        #expect(
            run.output == """
                pc2
                  WARNING  clock  It is late.
                           Set it.
                  db
                    BLOCKER  nic  NIC 52:54:00:00:00:01: It has no tap.
                             Give it one.
                on no desktop
                  ghost
                    BLOCKER  member  Nobody knows it.
                between members
                  WARNING  path  a to b: Lost.
                           Find it.
                2 blockers, 2 warnings, 2 in order; looked at 2 desktops, 2 VMs, 1 channel.

                """)
        let verbose = await CommandRun.run("doctor", "--verbose", answers: answers(blocked))
        #expect(verbose.output.contains("pc1\n  ok       rights  It has all rights."))
        #expect(verbose.output.hasPrefix("manager\n  ok       repository  It is there.\n"))
    }

    @Test func theDocumentHasEverything() async throws {
        let run = await CommandRun.run("doctor", "--output", "json", answers: answers(blocked))
        #expect(run.code == 33)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any])
        let diagnosis = try #require(object["diagnosis"] as? [String: Any])
        #expect(diagnosis["blockers"] as? Int == 2)
        #expect(diagnosis["warnings"] as? Int == 2)
        let findings = try #require(diagnosis["findings"] as? [[String: Any]])
        #expect(findings.count == blocked.count)
        let nic = try #require(findings.first { $0["check"] as? String == "nic" })
        #expect(nic["level"] as? String == "blocker")
        #expect(
            nic["subject"] as? [String: String]
                == ["kind": "nic", "host": "pc2", "vm": "db", "nic": "52:54:00:00:00:01"])
        #expect(nic["remedy"] as? String == "Give it one.")
        let kinds = findings.compactMap { ($0["subject"] as? [String: String])?["kind"] }
        #expect(kinds == ["desktop", "desktop", "nic", "vm", "channel", "manager"])
    }

    /// Names come from guests' owners.
    @Test func aNameGivesATerminalNoOrdersAndMakesNoLines() async {
        let name = "evil\u{1B}[2J\n0 blockers, 0 warnings"
        let finding = Finding(.disk, .disk("v\rda", of: name, on: HostName("pc\u{2028}1")), .blocker, "X\nY", remedy: "Z\n")
        let run = await CommandRun.run("doctor", answers: answers([finding]))
        #expect(!run.output.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" })
        #expect(run.output.split(separator: "\n").count == 5)
    }

    @Test func everyCheckIsInTheArticleAndNoOther() throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../Sources/HoldfastCommands/HoldfastCommands.docc/Doctor.md").standardized
        let rows = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").filter { $0.hasPrefix("| `") }
            .map { $0.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) } }
            .filter { !$0[0].contains(" ") }
        #expect(rows.map { $0[0] } == Check.allCases.map { "`\($0.rawValue)`" })
        for row in rows {
            #expect(row.count == 4)
            #expect(["blocker", "warning", "blocker, warning"].contains(row[1]), "\(row[0])")
        }
    }
}
