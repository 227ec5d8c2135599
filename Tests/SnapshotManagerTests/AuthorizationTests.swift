import Foundation
import GRPCCore
import ManagerClient
import SnapshotManager
import SnapshotProtocol
import Testing
import WireProtocol

@Suite(.timeLimit(.minutes(2))) struct AuthorizationTests {
    @Test func anAgentCannotClaimAnotherHostsName() async throws {
        try await ManagerFixture.with { fixture in
            _ = try await fixture.agent("pc2", machines: [])
            let identity = try await AgentIdentity.enroll(fixture.token(for: "pc1"), port: fixture.enrollmentPort)
            let liar = FakeAgent(
                host: "pc1", claiming: "pc2", identity: identity, port: fixture.gatewayPort,
                repository: fixture.configuration.repository, machines: [])
            liar.dial()
            #expect(await liar.end().map(\.code) == [.unauthorized])
            let agents = try await fixture.client.agents()
            #expect(agents.filter(\.connected).map(\.host) == [HostName("pc2")])
        }
    }

    @Test func anAgentsCertificateOpensNoAdministration() async throws {
        try await ManagerFixture.with { fixture in
            let identity = try await AgentIdentity.enroll(fixture.token(for: "pc1"), port: fixture.enrollmentPort)
            let client = try ManagerConnection(
                address: "127.0.0.1:\(fixture.gatewayPort)",
                credentials: ManagerCredentials(
                    authority: String(
                        contentsOfFile: fixture.configuration.state.authorityCertificate, encoding: .utf8),
                    certificate: Self.pem(identity.certificate), key: identity.key))
            await fixture.expect(.unauthorized) { () throws(ManagerCallError) in try await client.agents() }
            await fixture.expect(.unauthorized) { () throws(ManagerCallError) in try await client.machines() }
            await fixture.expect(.unauthorized) { () throws(ManagerCallError) in try await client.clusters() }
            await fixture.expect(.unauthorized) { () throws(ManagerCallError) in try await client.cluster("x") }
            await fixture.expect(.unauthorized) { () throws(ManagerCallError) in
                try await client.createCluster("x", members: [MemberName("a")])
            }
            await fixture.expect(.unauthorized) { () throws(ManagerCallError) in
                try await client.deleteCluster("x")
            }
            await fixture.expect(.unauthorized) { () throws(ManagerCallError) in
                try await client.createSnapshot(of: "x", mode: .hold) { _ in }
            }
            await fixture.expect(.unauthorized) { () throws(ManagerCallError) in try await client.snapshots() }
            await fixture.expect(.unauthorized) { () throws(ManagerCallError) in try await client.snapshot("x") }
            await fixture.expect(.unauthorized) { () throws(ManagerCallError) in
                try await client.verifySnapshot("x")
            }
            await fixture.expect(.unauthorized) { () throws(ManagerCallError) in
                try await client.deleteSnapshot("x")
            }
            await fixture.expect(.unauthorized) { () throws(ManagerCallError) in
                try await client.restore(RestoreRequest(snapshot: "x")) { _ in }
            }
            await fixture.expect(.unauthorized) { () throws(ManagerCallError) in
                try await client.diagnose(.desktops)
            }
        }
    }

    @Test func anAdministratorsCertificateOpensNoAgentSession() async throws {
        try await ManagerFixture.with { fixture in
            let admin = try ManagerCredentials(folder: fixture.configuration.state.administrator)
            let agent = FakeAgent(
                host: "pc1",
                identity: AgentIdentity(
                    certificate: Self.der(admin.certificate), key: admin.key, authority: Self.der(admin.authority),
                    gateway: ""),
                port: fixture.gatewayPort, repository: fixture.configuration.repository, machines: [])
            agent.dial()
            #expect(await agent.end().map(\.code) == [.unauthorized])
        }
    }

    @Test func certificatesOfAnotherAuthorityAreRefusedBothWays() async throws {
        try await ManagerFixture.with { fixture in
            let folder = try ManagerFixture.temporaryFolder()
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let other = ManagerFixture.configuration(in: folder)
            try ManagerInitializer.run(other, name: "other")
            let address = "127.0.0.1:\(fixture.gatewayPort)"

            // The manager is another one than the caller's credentials are from.
            let stranger = try ManagerConnection(
                address: address, credentials: ManagerCredentials(folder: other.state.administrator))
            await fixture.expect(.foreignCertificate) { () throws(ManagerCallError) in try await stranger.agents() }

            // The caller knows the manager but comes with a certificate of another authority.
            var mixed = try ManagerCredentials(folder: other.state.administrator)
            mixed.authority = try ManagerCredentials(folder: fixture.configuration.state.administrator).authority
            let impostor = try ManagerConnection(address: address, credentials: mixed)
            await fixture.expect(.foreignCertificate) { () throws(ManagerCallError) in try await impostor.agents() }
        }
    }

    @Test func aManagerThatIsNotThereIsUnreachable() async throws {
        try await ManagerFixture.with { fixture in
            let credentials = try ManagerCredentials(folder: fixture.configuration.state.administrator)
            // Port 1 of loopback: nobody listens there.
            let client = try ManagerConnection(address: "127.0.0.1:1", credentials: credentials)
            await fixture.expect(.unreachable) { () throws(ManagerCallError) in try await client.agents() }
        }
    }

    @Test func aNewerSessionTakesThePlaceOfTheOlder() async throws {
        try await ManagerFixture.with { fixture in
            let identity = try await AgentIdentity.enroll(fixture.token(for: "pc1"), port: fixture.enrollmentPort)
            func agent(_ name: String) -> FakeAgent {
                FakeAgent(
                    host: "pc1", identity: identity, port: fixture.gatewayPort,
                    repository: fixture.configuration.repository, machines: [.running(name)])
            }
            let older = agent("old")
            older.dial()
            try await fixture.connected("pc1")
            let newer = agent("new")
            newer.dial()
            #expect(await older.end().map(\.code) == [.cancelled])
            let machines = try await fixture.client.machines()
            #expect(machines.machines.map(\.machine.name) == ["new"])
            newer.hangUp()
            try await fixture.connected("pc1", false)
        }
    }

    private static func pem(_ der: [UInt8]) -> String {
        "-----BEGIN CERTIFICATE-----\n" + Data(der).base64EncodedString(options: .lineLength64Characters)
            + "\n-----END CERTIFICATE-----\n"
    }

    private static func der(_ pem: String) -> [UInt8] {
        let body = pem.split(separator: "\n").filter { !$0.hasPrefix("-----") }.joined()
        return [UInt8](Data(base64Encoded: body) ?? Data())
    }
}
