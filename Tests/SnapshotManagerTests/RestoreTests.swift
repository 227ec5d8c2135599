import Foundation
import ManagerClient
import SnapshotManager
import SnapshotProtocol
import SnapshotStore
import Testing
import WireProtocol

@Suite(.timeLimit(.minutes(2))) struct RestoreTests {
    /// A sealed snapshot of `a` on pc1 and `b` on pc2, both switched off by now.
    private func withSnapshot(
        reactions: [FakeAgent.Step: FakeAgent.Reaction] = [:],
        _ body: (ManagerFixture, FakeAgent, FakeAgent, SnapshotSummary) async throws -> Void
    ) async throws {
        try await ManagerFixture.with { fixture in
            let first = try await fixture.agent("pc1", machines: [.running("a")])
            let second = try await fixture.agent("pc2", machines: [.running("b")], reactions: reactions)
            _ = try await fixture.client.createCluster("web", members: [MemberName("a"), MemberName("b")])
            let snapshot = try await fixture.client.createSnapshot(of: "web", mode: .hold) { _ in }
            first.set([.running("a", state: "off")])
            second.set([.running("b", state: "off")])
            try await body(fixture, first, second, snapshot)
        }
    }

    private static let way: [FakeAgent.Step] = [.fence, .load, .replay, .open, .start, .finish]

    @Test func aSnapshotIsRestoredWhereItWas() async throws {
        try await withSnapshot { fixture, first, second, snapshot in
            let summary = try await fixture.client.restore(RestoreRequest(snapshot: snapshot.id)) { _ in }
            #expect(summary.members == [MemberName("a"): HostName("pc1"), MemberName("b"): HostName("pc2")])
            #expect(summary.replayed == 4)
            #expect(summary.duration > 0)
            #expect(Array(first.heard.suffix(6)) == Self.way)
            #expect(Array(second.heard.suffix(6)) == Self.way)
            #expect(first.restorePlan?.replayLogs == true)
            #expect(first.restorePlan?.members.allSatisfy { $0.parts.count == 2 } == true)
        }
    }

    @Test func aMemberGoesWhereItIsPlacedAndIsLookedForThereLater() async throws {
        try await withSnapshot { fixture, first, second, snapshot in
            let request = RestoreRequest(
                snapshot: snapshot.id, placements: [MemberName("b"): HostName("pc1")], replayLogs: false)
            let summary = try await fixture.client.restore(request) { _ in }
            #expect(summary.members == [MemberName("a"): HostName("pc1"), MemberName("b"): HostName("pc1")])
            #expect(first.restorePlan?.replayLogs == false)
            // A host without a member is fenced all the same.
            #expect(Array(second.heard.suffix(3)) == [.fence, .open, .finish])
            let cluster = try await fixture.client.cluster("web")
            #expect(cluster.members.map(\.lastHost?.rawValue) == ["pc1", "pc1"])
        }
    }

    @Test func originalsThatRunAreNotDoubled() async throws {
        try await withSnapshot { fixture, first, _, snapshot in
            for state in ["running", "paused"] {
                first.set([.running("a", state: state)])
                let failures = await fixture.expect(.originalsRunning) { () throws(ManagerCallError) in
                    try await fixture.client.restore(RestoreRequest(snapshot: snapshot.id)) { _ in }
                }
                #expect(failures.map(\.member?.rawValue) == ["a"])
            }
            #expect(!first.heard.contains(.fence))
            let request = RestoreRequest(snapshot: snapshot.id, replaceRunning: true)
            _ = try await fixture.client.restore(request) { _ in }
            #expect(first.restorePlan?.replaceRunning == true)
        }
    }

    @Test func aHostThatMayStillRunAnOriginalMustBeCalledLost() async throws {
        try await withSnapshot { fixture, first, second, snapshot in
            second.hangUp()
            try await fixture.connected("pc2", false)
            await fixture.expect(.hostUnavailable) { () throws(ManagerCallError) in
                try await fixture.client.restore(RestoreRequest(snapshot: snapshot.id, replaceRunning: true)) { _ in }
            }
            #expect(!first.heard.contains(.fence))
            let request = RestoreRequest(snapshot: snapshot.id, lostHosts: [HostName("pc2")])
            let summary = try await fixture.client.restore(request) { _ in }
            #expect(summary.members[MemberName("b")] == HostName("pc1"))
            await fixture.expect(.usage) { () throws(ManagerCallError) in
                try await fixture.client.restore(
                    RestoreRequest(snapshot: snapshot.id, lostHosts: [HostName("pc1")])
                ) { _ in }
            }
        }
    }

    @Test func aDamagedSnapshotTouchesNobody() async throws {
        try await withSnapshot { fixture, first, _, snapshot in
            let part = try #require(snapshot.members.first?.stored.parts.first)
            let path = try fixture.repository.path(of: part, in: snapshot.id)
            try fixture.overwrite(path, with: String(repeating: "x", count: Int(part.size)))
            await fixture.expect(.snapshotDamaged) { () throws(ManagerCallError) in
                try await fixture.client.restore(RestoreRequest(snapshot: snapshot.id)) { _ in }
            }
            #expect(!first.heard.contains(.fence))
            // Without the check the damage is the agents' to find.
            _ = try await fixture.client.restore(RestoreRequest(snapshot: snapshot.id, verify: false)) { _ in }
        }
    }

    @Test(arguments: [FakeAgent.Step.fence, .load, .replay, .open, .start])
    func whenOneHostFailsNoMemberRuns(step: FakeAgent.Step) async throws {
        let failure = Failure(.incompatibleHost, member: MemberName("b"), "The CPU does not fit.")
        try await withSnapshot(reactions: [step: .fail(failure)]) { fixture, first, second, snapshot in
            let failures = await fixture.expect(.incompatibleHost) { () throws(ManagerCallError) in
                try await fixture.client.restore(RestoreRequest(snapshot: snapshot.id)) { _ in }
            }
            #expect(failures == [failure])
            #expect(first.heard.last == .discard)
            #expect(second.heard.last == .discard)
        }
    }

    @Test func whenOneHostVanishesTheOthersUndo() async throws {
        try await withSnapshot(reactions: [.load: .vanish]) { fixture, first, _, snapshot in
            await fixture.expect(.hostUnavailable) { () throws(ManagerCallError) in
                try await fixture.client.restore(RestoreRequest(snapshot: snapshot.id)) { _ in }
            }
            #expect(first.heard.last == .discard)
        }
    }

    @Test func anUnknownSnapshotIsNotFound() async throws {
        try await ManagerFixture.with { fixture in
            await fixture.expect(.notFound) { () throws(ManagerCallError) in
                try await fixture.client.restore(RestoreRequest(snapshot: "web-000001-x")) { _ in }
            }
        }
    }
}
