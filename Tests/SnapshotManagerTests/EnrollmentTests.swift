import Foundation
import GRPCCore
import ManagerClient
import SnapshotManager
import SnapshotProtocol
import Testing
import WireProtocol

@Suite(.timeLimit(.minutes(2))) struct EnrollmentTests {
    /// The failures with which an enrolment is refused.
    private func refusal(_ token: EnrollmentToken, port: Int) async -> [Failure] {
        do {
            _ = try await AgentIdentity.enroll(token, port: port)
            Issue.record("The token was accepted")
            return []
        } catch {
            return (error as? RPCError).flatMap { FailureTrailer.failures(in: $0) } ?? []
        }
    }

    @Test func aTokenEnrolsOnceAndTheAgentIsKnown() async throws {
        try await ManagerFixture.with { fixture in
            let token = try await fixture.token(for: "pc1")
            let carried = try EnrollmentToken(parsing: token.description)
            let identity = try await AgentIdentity.enroll(carried, port: fixture.enrollmentPort)
            #expect(identity.authority == token.authority)
            let before = try await fixture.client.agents()
            #expect(before.map(\.host) == [HostName("pc1")])
            #expect(before.map(\.connected) == [false])

            let again = await refusal(token, port: fixture.enrollmentPort)
            #expect(again.map(\.code) == [.tokenRefused])
            #expect(again.first?.message.contains("used already") == true)
        }
    }

    @Test func falseExpiredAndForeignTokensAreRefused() async throws {
        try await ManagerFixture.with { fixture in
            var forged = try await fixture.token(for: "pc1")
            forged.secret[0] ^= 1
            #expect(await refusal(forged, port: fixture.enrollmentPort).map(\.code) == [.tokenRefused])

            var renamed = try await fixture.token(for: "pc1")
            renamed.host = HostName("pc2")
            #expect(await refusal(renamed, port: fixture.enrollmentPort).map(\.code) == [.tokenRefused])

            let expired = try await fixture.token(for: "pc1", lifetime: 0)
            let failures = await refusal(expired, port: fixture.enrollmentPort)
            #expect(failures.map(\.code) == [.tokenRefused])
            #expect(failures.first?.message.contains("expired") == true)
            #expect(try await fixture.client.agents().isEmpty)
        }
    }

    @Test func aRequestThatCannotBeReadLeavesTheTokenGood() async throws {
        try await ManagerFixture.with { fixture in
            let token = try await fixture.token(for: "pc1")
            await #expect(throws: RPCError.self) {
                try await AgentIdentity.send(token, signingRequest: [1, 2, 3], port: fixture.enrollmentPort)
            }
            _ = try await AgentIdentity.enroll(token, port: fixture.enrollmentPort)
        }
    }

    @Test func theCatalogHoldsNoSecret() async throws {
        try await ManagerFixture.with { fixture in
            let token = try await fixture.token(for: "pc1")
            for suffix in ["", "-wal"] {
                let path = fixture.configuration.state.catalog + suffix
                let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
                #expect(bytes.range(of: Data(token.secret)) == nil)
            }
        }
    }

    @Test func aNewCertificateMakesTheFormerOneUseless() async throws {
        try await ManagerFixture.with { fixture in
            let first = try await fixture.agent("pc1", machines: [])
            let second = try await fixture.agent("pc1", machines: [])
            _ = await first.end()
            first.dial()
            #expect(await first.end().map(\.code) == [.unauthorized])
            #expect(second.ended == nil)
        }
    }

    @Test func aTokenForAnImpossibleNameIsNotMade() async throws {
        try await ManagerFixture.with { fixture in
            for name in ["", "a/b", "ä", "-x", String(repeating: "a", count: 64)] {
                await #expect(throws: ManagerError.self) { try await fixture.token(for: name) }
            }
        }
    }
}
