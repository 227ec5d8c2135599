import ManagerClient
import SnapshotManager
import SnapshotProtocol
import Testing
import WireProtocol

@Suite(.timeLimit(.minutes(2))) struct ClusterTests {
    private func names(_ texts: String...) -> [MemberName] { texts.map { MemberName($0) } }

    @Test func aVMBelongsToOneClusterAtMost() async throws {
        try await ManagerFixture.with { fixture in
            _ = try await fixture.agent("pc1", machines: [.running("a"), .running("b")])
            let web = try await fixture.client.createCluster("web", members: names("a"))
            #expect(web == ClusterSummary(name: "web", members: [.init(name: MemberName("a"))]))
            let failures = await fixture.expect(.memberInOtherCluster) { () throws(ManagerCallError) in
                try await fixture.client.createCluster("db", members: names("b", "a"))
            }
            #expect(failures.map(\.member?.rawValue) == ["a"])
            // Nothing of the refused one is left: neither its name nor its other member.
            #expect(try await fixture.client.clusters() == [web])
            _ = try await fixture.client.createCluster("db", members: names("b"))
            try await fixture.client.deleteCluster("web")
            try await fixture.client.deleteCluster("db")
            _ = try await fixture.client.createCluster("db", members: names("b", "a"))
        }
    }

    @Test func impossibleClustersAreRefused() async throws {
        try await ManagerFixture.with { fixture in
            _ = try await fixture.agent("pc1", machines: [.running("a")])
            let client = fixture.client
            await fixture.expect(.unknownMachine) { () throws(ManagerCallError) in
                try await client.createCluster("web", members: names("a", "nobody"))
            }
            await fixture.expect(.usage) { () throws(ManagerCallError) in
                try await client.createCluster("web", members: [])
            }
            await fixture.expect(.usage) { () throws(ManagerCallError) in
                try await client.createCluster("web", members: names("a", "a"))
            }
            await fixture.expect(.usage) { () throws(ManagerCallError) in
                try await client.createCluster("../web", members: names("a"))
            }
            await fixture.expect(.notFound) { () throws(ManagerCallError) in try await client.cluster("web") }
            await fixture.expect(.notFound) { () throws(ManagerCallError) in try await client.deleteCluster("web") }
            _ = try await client.createCluster("web", members: names("a"))
            await fixture.expect(.alreadyExists) { () throws(ManagerCallError) in
                try await client.createCluster("web", members: names("a"))
            }
        }
    }

    @Test func vmsAreListedWithTheirHostAndCluster() async throws {
        try await ManagerFixture.with { fixture in
            _ = try await fixture.agent("pc2", machines: [.running("b")])
            _ = try await fixture.agent("pc1", machines: [.running("a"), .running("c", state: "off")])
            _ = try await fixture.client.createCluster("web", members: names("b"))
            let inventory = try await fixture.client.machines()
            #expect(inventory.machines.map(\.machine.name) == ["a", "c", "b"])
            #expect(inventory.machines.map(\.host.rawValue) == ["pc1", "pc1", "pc2"])
            #expect(inventory.machines.map(\.cluster) == [nil, nil, "web"])
            #expect(inventory.failures.isEmpty)
        }
    }
}
