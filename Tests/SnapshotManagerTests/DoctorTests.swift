import ManagerClient
import SnapshotManager
import SnapshotProtocol
import Testing
import WireProtocol

/// A manager that is asked for a diagnosis, with agents that speak the real stream.
@Suite(.timeLimit(.minutes(2))) struct DoctorTests {
    private let pc1 = HostName("pc1")
    private let pc2 = HostName("pc2")

    private func withCluster(
        reactions: [FakeAgent.Step: FakeAgent.Reaction] = [:],
        _ body: (ManagerFixture, FakeAgent, FakeAgent) async throws -> Void
    ) async throws {
        try await ManagerFixture.with { fixture in
            let first = try await fixture.agent("pc1", machines: [.running("a")])
            let second = try await fixture.agent("pc2", machines: [.running("b")], reactions: reactions)
            _ = try await fixture.client.createCluster("web", members: ["a", "b"].map { MemberName($0) })
            try await body(fixture, first, second)
        }
    }

    private func problems(_ findings: [Finding]) -> [Finding] {
        // The agents of these tests are of version "test".
        findings.filter { $0.level != .ok && $0.check != "version" }
    }

    @Test func whatAgentsFindIsShownBesideWhatTheManagerFinds() async throws {
        try await withCluster { fixture, first, second in
            let found = Finding(.rights, .desktop(pc1), .blocker, "None.", remedy: "Get some.")
            first.find([found])
            let findings = try await fixture.client.diagnose(.desktops)
            #expect(problems(findings) == [found])
            let checks = Set(findings.filter { $0.subject == .desktop(pc2) }.map(\.check))
            #expect(checks == ["agent", "version", "clock"])
            #expect(findings.filter { $0.check == "version" }.allSatisfy { $0.level == .warning })
            #expect(findings.contains { $0.check == "repository" && $0.subject == .manager })
            let one = try await fixture.client.diagnose(.desktop(pc2))
            #expect(problems(one).isEmpty)
            #expect(!one.contains { $0.subject.host == pc1 })
        }
    }

    @Test func aDesktopWithoutItsAgentIsABlockerOnlyToWhoNeedsIt() async throws {
        try await withCluster { fixture, _, second in
            second.hangUp()
            try await fixture.connected("pc2", false)
            let all = problems(try await fixture.client.diagnose(.desktops))
            #expect(all.map(\.level) == [.warning])
            let one = problems(try await fixture.client.diagnose(.desktop(pc2)))
            #expect(one.map(\.level) == [.blocker])
            #expect(one.map(\.check) == ["agent"])
            let cluster = problems(try await fixture.client.diagnose(.cluster("web")))
            #expect(cluster.contains { $0.check == "member" && $0.level == .blocker && $0.subject.machine == "b" })
            // One member alone has no path.
            #expect(cluster.contains { $0.check == "path" && $0.level == .warning })
        }
    }

    @Test func whatThereIsNotIsNotFound() async throws {
        try await withCluster { fixture, _, _ in
            await fixture.expect(.notFound) { () async throws(ManagerCallError) in
                try await fixture.client.diagnose(.desktop(HostName("pc9")))
            }
            await fixture.expect(.notFound) { () async throws(ManagerCallError) in
                try await fixture.client.diagnose(.cluster("nothing"))
            }
        }
    }

    @Test func aClockThatIsWrongIsSaidWithItsUncertainty() async throws {
        try await withCluster { fixture, first, second in
            first.setClock(aheadBy: -3_600_000_000_000)
            let found = problems(try await fixture.client.diagnose(.desktops))
            #expect(found.map(\.check) == ["clock"])
            #expect(found.map(\.subject) == [.desktop(pc1)])
            #expect(found.first?.text.contains("behind") == true)
            #expect(found.first?.text.contains("give or take") == true)
        }
    }

    @Test func theAgentsAreAskedAboutMembersOnly() async throws {
        try await withCluster { fixture, first, _ in
            first.set([.running("a"), .running("other")])
            let own = Finding(.cut, .machine("a", on: pc1), .warning, "It stays paused.", remedy: "")
            first.find([own, Finding(.cut, .machine("other", on: pc1), .blocker, "Not asked.", remedy: "")])
            let found = problems(try await fixture.client.diagnose(.cluster("web")))
            #expect(found == [own])
        }
    }

    // MARK: Paths

    @Test func pathsAreTestedBetweenAllMembers() async throws {
        try await withCluster { fixture, first, second in
            let lost = Channel(sender: MemberName("a"), receiver: MemberName("b"))
            second.deafen(lost)
            let findings = try await fixture.client.diagnose(.cluster("web"))
            #expect(problems(findings).map(\.subject) == [.channel(lost)])
            #expect(findings.contains { $0.check == "path" && $0.level == .ok })
            for agent in [first, second] {
                #expect(agent.heard.filter { $0 != .examine } == [.armPaths, .probePaths, .endPaths])
            }
        }
    }

    @Test func whereGatesCannotBeArmedTheOthersAreOpenedAgain() async throws {
        let failure = Failure(.queueTaken, "Queue 7100 is taken.")
        try await withCluster(reactions: [.armPaths: .fail(failure)]) { fixture, first, second in
            let found = problems(try await fixture.client.diagnose(.cluster("web")))
            #expect(found == [Finding(.path, .desktop(pc2), blocker: failure)])
            #expect(first.heard.last == .endPaths)
            #expect(!first.heard.contains(.probePaths))
        }
    }

    @Test func anAgentThatIsLostInTheMiddleIsNamed() async throws {
        try await withCluster(reactions: [.probePaths: .vanish]) { fixture, first, _ in
            let found = problems(try await fixture.client.diagnose(.cluster("web")))
            #expect(found.contains { $0.check == "path" && $0.subject == .desktop(pc2) && $0.level == .blocker })
            #expect(first.heard.last == .endPaths)
        }
    }

    /// The test waits for an agent that does not answer; the snapshot does not wait for the test.
    @Test func aSnapshotEndsThePathTestAndIsSealed() async throws {
        let gate = FakeAgent.Gate()
        try await withCluster(reactions: [.probePaths: .wait(gate)]) { fixture, first, second in
            let diagnosis = Task { try await fixture.client.diagnose(.cluster("web")) }
            for await _ in gate.reached { break }
            let snapshot = Task { try await fixture.client.createSnapshot(of: "web", mode: .hold) { _ in } }
            // The other agent is told to end at once.
            while !first.heard.contains(.endPaths) { await Task.yield() }
            gate.open()
            let sealed = try await snapshot.value.sealed
            #expect(sealed)
            let found = problems(try await diagnosis.value)
            #expect(found.map(\.check) == ["path"])
            #expect(found.map(\.level) == [.warning])
            // On each agent the test is over before the epoch begins.
            for agent in [first, second] {
                let heard = agent.heard
                let end = try #require(heard.firstIndex(of: .endPaths))
                let begin = try #require(heard.firstIndex(of: .prepare))
                #expect(end < begin)
            }
        }
    }

    @Test func besideASnapshotNoPathIsTested() async throws {
        try await withCluster(reactions: [.prepare: .silence]) { fixture, first, second in
            let snapshot = Task { try await fixture.client.createSnapshot(of: "web", mode: .hold) { _ in } }
            while !second.heard.contains(.prepare) { await Task.yield() }
            let found = problems(try await fixture.client.diagnose(.cluster("web")))
            #expect(found.map(\.check) == ["path"])
            #expect(found.map(\.subject) == [.cluster("web")])
            #expect(found.map(\.level) == [.warning])
            #expect(!(first.heard + second.heard).contains(.armPaths))
            snapshot.cancel()
            await #expect(throws: (any Error).self) { try await snapshot.value }
        }
    }
}
