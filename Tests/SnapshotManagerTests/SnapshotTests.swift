import Foundation
import ManagerClient
import NIOConcurrencyHelpers
import SnapshotManager
import SnapshotProtocol
import SnapshotStore
import Testing
import WireProtocol

@Suite(.timeLimit(.minutes(2))) struct SnapshotTests {
    /// Two hosts, three VMs, one cluster `web`.
    private func withCluster(
        reactions: [FakeAgent.Step: FakeAgent.Reaction] = [:],
        _ body: (ManagerFixture, FakeAgent, FakeAgent) async throws -> Void
    ) async throws {
        try await ManagerFixture.with { fixture in
            let first = try await fixture.agent("pc1", machines: [.running("a"), .running("b")])
            let second = try await fixture.agent("pc2", machines: [.running("c")], reactions: reactions)
            let members = ["a", "b", "c"].map { MemberName($0) }
            _ = try await fixture.client.createCluster("web", members: members)
            try await body(fixture, first, second)
        }
    }

    @Test func aSnapshotThatAllAgentsFollowIsSealed() async throws {
        try await withCluster { fixture, first, second in
            let seen = NIOLockedValueBox<[SnapshotProgress]>([])
            let snapshot = try await fixture.client.createSnapshot(of: "web", mode: .hold) { event in
                seen.withLockedValue { $0.append(event) }
            }
            #expect(snapshot.sealed)
            #expect(snapshot.verdict.consistent)
            #expect(snapshot.epoch == Epoch(1))
            #expect(snapshot.members.map(\.member.name.rawValue).sorted() == ["a", "b", "c"])
            #expect(snapshot.members.map(\.member.host.rawValue).sorted() == ["pc1", "pc1", "pc2"])
            #expect(snapshot.id.hasPrefix("web-000001-"))
            #expect(second.heard == [.prepare, .arm, .flush, .cut, .release, .save, .seal])

            let phases = seen.withLockedValue { events in
                events.compactMap { event in if case .phase(let name) = event { name } else { nil } }
            }
            #expect(
                phases == [
                    "preparing", "arming", "flushing", "cutting", "releasing", "saving", "sealing", "finishing",
                    "finished",
                ])
            #expect(seen.withLockedValue { $0.contains(.stored(member: MemberName("a"), bytes: 1, total: 2)) })

            #expect(try await fixture.client.snapshots() == [snapshot])
            #expect(try await fixture.client.snapshot(snapshot.id) == snapshot)
            let verification = try await fixture.client.verifySnapshot(snapshot.id)
            #expect(verification.problems == [])
            let cluster = try await fixture.client.cluster("web")
            #expect(cluster.members.map(\.lastHost?.rawValue) == ["pc1", "pc1", "pc2"])
            #expect(first.ended == nil)
        }
    }

    @Test func aSnapshotInColourModeIsSealedAsSuch() async throws {
        try await withCluster { fixture, _, second in
            let snapshot = try await fixture.client.createSnapshot(of: "web", mode: .colour) { _ in }
            #expect(snapshot.mode == .colour)
            #expect(second.heard == [.prepare, .arm, .flush, .cut, .settle, .release, .save, .seal])
            #expect(try await fixture.client.snapshot(snapshot.id).mode == .colour)
            #expect(try await fixture.client.verifySnapshot(snapshot.id).problems == [])
        }
    }

    @Test func aPathThatTakesTheColourOffMakesTheEpochGoOnInHoldMode() async throws {
        let channel = Channel(sender: MemberName("a"), receiver: MemberName("c"))
        try await withCluster(reactions: [.flush: .bleach(channel)]) { fixture, _, second in
            let seen = NIOLockedValueBox<[SnapshotProgress]>([])
            let snapshot = try await fixture.client.createSnapshot(of: "web", mode: .colour) { event in
                seen.withLockedValue { $0.append(event) }
            }
            #expect(snapshot.mode == .hold)
            #expect(snapshot.epoch == Epoch(1))
            #expect(second.heard == [.prepare, .arm, .flush, .arm, .flush, .cut, .release, .save, .seal])
            let reasons = seen.withLockedValue { events in
                events.compactMap { event in if case .fallBack(let reason) = event { reason } else { nil } }
            }
            #expect(reasons.count == 1)
            #expect(reasons.first?.contains("a>c") == true)
        }
    }

    @Test func autoTakesColourAfterAHoldThatWasTooLong() async throws {
        let reactions = [FakeAgent.Step.settle: FakeAgent.Reaction.fail(Failure(.aborted, "Only so far."))]
        try await withCluster(reactions: reactions) { fixture, _, second in
            let first = try await fixture.client.createSnapshot(of: "web", mode: .auto) { _ in }
            #expect(first.mode == .hold)
            second.setReaction(.fail(Failure(.holdExceeded, "The hold budget is spent.")), to: .cut)
            await #expect(throws: ManagerCallError.self) {
                try await fixture.client.createSnapshot(of: "web", mode: .auto) { _ in }
            }
            second.setReaction(nil, to: .cut)
            // The step that only colour mode has with all markers in.
            let error = await #expect(throws: ManagerCallError.self) {
                try await fixture.client.createSnapshot(of: "web", mode: .auto) { _ in }
            }
            #expect(error?.failures.map(\.code) == [.aborted])
            #expect(second.heard.contains(.settle))
        }
    }

    @Test func epochsGrowAlsoOverAbortsAndDeletions() async throws {
        try await withCluster(reactions: [.cut: .fail(Failure(.aborted, "no"))]) { fixture, _, second in
            await fixture.expect(.aborted) { () throws(ManagerCallError) in
                try await fixture.client.createSnapshot(of: "web", mode: .hold) { _ in }
            }
            second.hangUp()
            try await fixture.connected("pc2", false)
            _ = try await fixture.agent("pc2", machines: [.running("c")])
            try await fixture.client.deleteCluster("web")
            _ = try await fixture.client.createCluster("web", members: [MemberName("a"), MemberName("c")])
            let snapshot = try await fixture.client.createSnapshot(of: "web", mode: .hold) { _ in }
            #expect(snapshot.epoch == Epoch(2))
        }
    }

    @Test(arguments: [FakeAgent.Step.prepare, .arm, .flush, .cut, .release, .save])
    func anAgentThatFailsLeavesNothingBehind(step: FakeAgent.Step) async throws {
        let failure = Failure(.queueTaken, member: MemberName("c"), "Another program holds the queue.")
        try await withCluster(reactions: [step: .fail(failure)]) { fixture, first, second in
            let failures = await fixture.expect(.queueTaken) { () throws(ManagerCallError) in
                try await fixture.client.createSnapshot(of: "web", mode: .hold) { _ in }
            }
            #expect(failures == [failure])
            let remnants = try fixture.remnants()
            #expect(remnants == [])
            #expect(first.heard.last == .abort)
            #expect(second.heard.last == .abort)
            #expect(try await fixture.client.snapshots().isEmpty)
        }
    }

    @Test(arguments: [FakeAgent.Step.prepare, .arm, .flush, .cut, .release, .save])
    func anAgentThatVanishesLeavesNothingBehind(step: FakeAgent.Step) async throws {
        try await withCluster(reactions: [step: .vanish]) { fixture, first, _ in
            await fixture.expect(.hostUnavailable) { () throws(ManagerCallError) in
                try await fixture.client.createSnapshot(of: "web", mode: .hold) { _ in }
            }
            let remnants = try fixture.remnants()
            #expect(remnants == [])
            #expect(first.heard.last == .abort)
        }
    }

    @Test func anAgentThatVanishesAfterTheSealTakesNothingBack() async throws {
        try await withCluster(reactions: [.seal: .vanish]) { fixture, _, _ in
            let snapshot = try await fixture.client.createSnapshot(of: "web", mode: .hold) { _ in }
            #expect(try await fixture.client.snapshots().map(\.id) == [snapshot.id])
        }
    }

    @Test func refusalsComeWithTheirReason() async throws {
        let failure = Failure(.noSpace, member: MemberName("c"), "There is no space.")
        try await withCluster(reactions: [.prepare: .refuse([failure])]) { fixture, _, _ in
            let failures = await fixture.expect(.noSpace) { () throws(ManagerCallError) in
                try await fixture.client.createSnapshot(of: "web", mode: .hold) { _ in }
            }
            #expect(failures == [failure])
            let remnants = try fixture.remnants()
            #expect(remnants == [])
        }
    }

    @Test func membersThatCannotBeSnapshottedAreAllNamed() async throws {
        try await withCluster { fixture, first, second in
            first.set([
                .running("a", state: "off"),
                .running("b", blockers: [Failure(.interfaceWithoutTap, "vnet0 is in user mode.")]),
            ])
            second.set([])
            let failures = await fixture.expect(.machineNotRunning) { () throws(ManagerCallError) in
                try await fixture.client.createSnapshot(of: "web", mode: .hold) { _ in }
            }
            #expect(failures.map(\.code) == [.machineNotRunning, .interfaceWithoutTap, .unknownMachine])
            #expect(failures.map(\.member?.rawValue) == ["a", "b", "c"])
            #expect(first.heard == [])
            let remnants = try fixture.remnants()
            #expect(remnants == [])
        }
    }

    @Test func aMemberWhoseHostIsGoneIsNoUnknownOne() async throws {
        try await withCluster { fixture, _, second in
            _ = try await fixture.client.createSnapshot(of: "web", mode: .hold) { _ in }
            second.hangUp()
            try await fixture.connected("pc2", false)
            await fixture.expect(.hostUnavailable) { () throws(ManagerCallError) in
                try await fixture.client.createSnapshot(of: "web", mode: .hold) { _ in }
            }
        }
    }

    @Test func aClusterHasOneJobAtATime() async throws {
        let gate = FakeAgent.Gate()
        try await withCluster(reactions: [.prepare: .wait(gate)]) { fixture, _, _ in
            let first = Task { try await fixture.client.createSnapshot(of: "web", mode: .hold) { _ in } }
            for await _ in gate.reached { break }
            await fixture.expect(.busy) { () throws(ManagerCallError) in
                try await fixture.client.createSnapshot(of: "web", mode: .hold) { _ in }
            }
            await fixture.expect(.busy) { () throws(ManagerCallError) in
                try await fixture.client.deleteCluster("web")
            }
            gate.open()
            let snapshot = try await first.value
            #expect(snapshot.sealed)
            await fixture.expect(.notFound) { () throws(ManagerCallError) in
                try await fixture.client.createSnapshot(of: "other", mode: .hold) { _ in }
            }
        }
    }

    @Test func aCallerThatGoesAwayCancelsTheSnapshot() async throws {
        let gate = FakeAgent.Gate()
        try await withCluster(reactions: [.cut: .wait(gate)]) { fixture, first, second in
            let call = Task { try await fixture.client.createSnapshot(of: "web", mode: .hold) { _ in } }
            for await _ in gate.reached { break }
            call.cancel()
            await #expect(throws: (any Error).self) { try await call.value }
            gate.open()
            // The cluster is free again when the epoch is undone everywhere.
            for _ in 0..<1_000 where first.heard.last != .abort || second.heard.last != .abort {
                try await Task.sleep(for: .milliseconds(10))
            }
            #expect(first.heard.last == .abort)
            #expect(second.heard.last == .abort)
            try await fixture.settled()
            #expect(try fixture.remnants() == [])
        }
    }

    @Test func aManagerThatStopsGivesUpWhatItDoes() async throws {
        let gate = FakeAgent.Gate()
        let folder = try ManagerFixture.temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let configuration = ManagerFixture.configuration(in: folder)
        try ManagerInitializer.run(configuration, name: "test")
        let witness = NIOLockedValueBox<FakeAgent?>(nil)
        try await ManagerFixture.run(configuration, folder: folder) { fixture in
            let agent = try await fixture.agent("pc1", machines: [.running("a")], reactions: [.save: .wait(gate)])
            witness.withLockedValue { $0 = agent }
            _ = try await fixture.client.createCluster("web", members: [MemberName("a")])
            Task { _ = try? await fixture.client.createSnapshot(of: "web", mode: .hold) { _ in } }
            for await _ in gate.reached { break }
            Task {
                try await Task.sleep(for: .milliseconds(300))
                gate.open()
            }
        }
        let agent = try #require(witness.withLockedValue { $0 })
        #expect(await agent.end().map(\.code) == [.hostUnavailable])
        #expect(agent.heard.last == .abort)
        #expect(try DirectoryRepository(opening: configuration.repository).list().isEmpty)
    }

    @Test func whatAKilledManagerLeftIsRemovedAndWhatItSealedStays() async throws {
        let folder = try ManagerFixture.temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let configuration = ManagerFixture.configuration(in: folder)
        try ManagerInitializer.run(configuration, name: "test")
        let sealed = NIOLockedValueBox("")
        try await ManagerFixture.run(configuration, folder: folder) { fixture in
            _ = try await fixture.agent("pc1", machines: [.running("a")])
            _ = try await fixture.client.createCluster("web", members: [MemberName("a")])
            let snapshot = try await fixture.client.createSnapshot(of: "web", mode: .hold) { _ in }
            sealed.withLockedValue { $0 = snapshot.id }
        }
        // As after a kill: one epoch in the middle, and one sealed whose end never reached the catalog.
        let catalog = try Catalog(path: configuration.state.catalog)
        let epoch = try await catalog.nextEpoch(of: "web")
        try await catalog.beginSnapshot("web-half", cluster: "web", epoch: epoch, now: 1)
        try DirectoryRepository(opening: configuration.repository).begin("web-half")
        let kept = sealed.withLockedValue { $0 }
        try await catalog.endSnapshot(kept, as: .taking)
        try await ManagerFixture.run(configuration, folder: folder) { fixture in
            #expect(try await fixture.client.snapshots().map(\.id) == [kept])
            let remnants = try fixture.remnants()
            #expect(remnants == [kept])
        }
        #expect(try await catalog.snapshots(in: .taking) == [])
        #expect(try await catalog.snapshots(in: .sealed) == [kept])
        #expect(try await catalog.snapshots(in: .aborted) == ["web-half"])
        #expect(try await catalog.nextEpoch(of: "web") > epoch)
    }

    @Test func aDamagedPartIsFoundAndADeletedSnapshotIsGone() async throws {
        try await withCluster { fixture, _, _ in
            let snapshot = try await fixture.client.createSnapshot(of: "web", mode: .hold) { _ in }
            let part = try #require(snapshot.members.first?.stored.parts.first)
            let path = try fixture.repository.path(of: part, in: snapshot.id)
            let damaged = String(repeating: "x", count: Int(part.size))
            try fixture.overwrite(path, with: damaged)
            let verification = try await fixture.client.verifySnapshot(snapshot.id)
            #expect(verification.problems.count == 1)
            try await fixture.client.deleteSnapshot(snapshot.id)
            #expect(try fixture.remnants() == [])
            await fixture.expect(.notFound) { () throws(ManagerCallError) in
                try await fixture.client.snapshot(snapshot.id)
            }
            await fixture.expect(.notFound) { () throws(ManagerCallError) in
                try await fixture.client.deleteSnapshot(snapshot.id)
            }
        }
    }
}

extension ManagerFixture {
    /// Waits until no cluster has a job.
    func settled() async throws {
        for _ in 0..<1_000 {
            if await server.manager.isIdle { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("A job never ended")
    }

    /// Damages a stored file, however it is protected.
    func overwrite(_ path: String, with text: String) throws {
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    }
}
