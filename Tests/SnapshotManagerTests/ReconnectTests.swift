import ManagerClient
import NIOConcurrencyHelpers
import SnapshotManager
import SnapshotProtocol
import Testing
import WireProtocol

@Suite("While an agent is away for a moment", .timeLimit(.minutes(2))) struct ReconnectTests {
    /// One host with one VM in a cluster; its agent has hung up.
    private func withAbsentAgent(
        bound: UInt64, _ body: (ManagerFixture, FakeAgent) async throws -> Void
    ) async throws {
        try await ManagerFixture.with(limits: { $0.reconnectBound = bound }) { fixture in
            let agent = try await fixture.agent("pc1", machines: [.running("a")])
            _ = try await fixture.client.createCluster("web", members: [MemberName("a")])
            _ = try await fixture.client.createSnapshot(of: "web", mode: .hold) { _ in }
            agent.hangUp()
            try await fixture.connected("pc1", false)
            try await body(fixture, agent)
        }
    }

    @Test func aSnapshotWaitsForItAndIsSealed() async throws {
        try await withAbsentAgent(bound: 60_000) { fixture, agent in
            let waited = NIOLockedValueBox(false)
            let snapshot = try await fixture.client.createSnapshot(of: "web", mode: .hold) { event in
                guard case .phase("waiting") = event else { return }
                waited.withLockedValue { $0 = true }
                agent.dial()
            }
            #expect(snapshot.sealed)
            #expect(waited.withLockedValue { $0 })
        }
    }

    @Test func aRestoreWaitsForItAndComesBackThere() async throws {
        try await withAbsentAgent(bound: 60_000) { fixture, agent in
            agent.set([.running("a", state: "off")])
            let snapshot = try #require(try await fixture.client.snapshots().first)
            let restored = try await fixture.client.restore(
                RestoreRequest(
                    snapshot: snapshot.id, placements: [:], replaceRunning: false, lostHosts: [], replayLogs: true,
                    verify: false)
            ) { event in
                if case .phase("waiting") = event { agent.dial() }
            }
            #expect(restored.members == [MemberName("a"): HostName("pc1")])
        }
    }

    @Test func aSnapshotIsRefusedWhenItStaysAway() async throws {
        try await withAbsentAgent(bound: 50) { fixture, _ in
            let failures = await fixture.expect(.hostUnavailable) { () throws(ManagerCallError) in
                try await fixture.client.createSnapshot(of: "web", mode: .hold) { _ in }
            }
            #expect(failures.first?.message.contains("pc1") == true)
        }
    }

    @Test func aRestoreThatIsToldOfItsLossDoesNotWait() async throws {
        try await withAbsentAgent(bound: 600_000) { fixture, _ in
            let snapshot = try #require(try await fixture.client.snapshots().first)
            await fixture.expect(.hostUnavailable) { () throws(ManagerCallError) in
                try await fixture.client.restore(
                    RestoreRequest(
                        snapshot: snapshot.id, placements: [:], replaceRunning: false, lostHosts: [HostName("pc1")],
                        replayLogs: true, verify: false)
                ) { _ in }
            }
        }
    }
}
