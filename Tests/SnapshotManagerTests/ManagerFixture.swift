import Foundation
import Logging
import ManagerClient
import ServiceLifecycle
import SnapshotManager
import SnapshotProtocol
import SnapshotStore
import Testing
import WireProtocol

/// A manager in this process, with real mutual TLS on loopback and everything in a folder of its own.
struct ManagerFixture: Sendable {
    let folder: String
    let configuration: ManagerConfiguration
    let server: ManagerServer
    let gatewayPort: Int
    let enrollmentPort: Int
    let client: ManagerConnection

    var repository: DirectoryRepository {
        get throws { try DirectoryRepository(opening: configuration.repository) }
    }

    /// Makes a state, runs a manager on it, and takes both away in the end.
    static func with(
        limits: (inout ManagerConfiguration) -> Void = { _ in },
        before: (ManagerConfiguration) async throws -> Void = { _ in },
        _ body: (ManagerFixture) async throws -> Void
    ) async throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var configuration = configuration(in: folder)
        limits(&configuration)
        try ManagerInitializer.run(configuration, name: "test")
        try await before(configuration)
        try await run(configuration, folder: folder, body)
    }

    /// Runs a manager on a state that is there.
    static func run(
        _ configuration: ManagerConfiguration, folder: String, _ body: (ManagerFixture) async throws -> Void
    ) async throws {
        var logger = Logger(label: "test") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .critical
        let server = try ManagerServer(configuration, logger: logger)
        let group = ServiceGroup(configuration: .init(services: [.init(service: server)], logger: logger))
        let running = Task { try await group.run() }
        do {
            let gateway = try await server.gatewayPort
            let credentials = try ManagerCredentials(folder: configuration.state.administrator)
            let fixture = ManagerFixture(
                folder: folder, configuration: configuration, server: server, gatewayPort: gateway,
                enrollmentPort: try await server.enrollmentPort,
                client: try ManagerConnection(address: "127.0.0.1:\(gateway)", credentials: credentials))
            try await body(fixture)
        } catch {
            await group.triggerGracefulShutdown()
            _ = try? await running.value
            throw error
        }
        await group.triggerGracefulShutdown()
        try await running.value
    }

    static func temporaryFolder() throws -> String {
        let folder = NSTemporaryDirectory() + "holdfast-manager-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        return folder
    }

    static func configuration(in folder: String) -> ManagerConfiguration {
        ManagerConfiguration(
            state: StateDirectory(folder + "/state"), repository: folder + "/repository",
            listen: NetworkAddress(host: "127.0.0.1", port: 0),
            enrollment: NetworkAddress(host: "127.0.0.1", port: 0), advertise: "127.0.0.1", reconnectBound: 200)
    }

    func token(for host: String, lifetime: UInt64 = TokenIssuer.defaultLifetime) async throws -> EnrollmentToken {
        try await TokenIssuer(configuration).issue(host: host, lifetime: lifetime)
    }

    /// Enrols a host and dials in as its agent.
    func agent(
        _ host: String, machines: [MachineSummary], offers: [String: String] = ["hypervisor": "fake"],
        reactions: [FakeAgent.Step: FakeAgent.Reaction] = [:]
    ) async throws -> FakeAgent {
        let identity = try await AgentIdentity.enroll(token(for: host), port: enrollmentPort)
        let agent = FakeAgent(
            host: host, identity: identity, port: gatewayPort, repository: configuration.repository,
            machines: machines, offers: offers, reactions: reactions)
        agent.dial()
        try await connected(host)
        return agent
    }

    /// Waits until the manager counts the host as connected, or no longer does.
    func connected(_ host: String, _ wanted: Bool = true) async throws {
        for _ in 0..<1_000 {
            if await (server.manager.registry.connected[HostName(host)] != nil) == wanted { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("\(host) never became \(wanted ? "connected" : "disconnected")")
    }

    /// Fails the test unless the call fails with `code`; returns the failures.
    @discardableResult
    func expect<Value>(
        _ code: FailureCode, sourceLocation: SourceLocation = #_sourceLocation,
        _ call: () async throws(ManagerCallError) -> Value
    ) async -> [Failure] {
        do {
            _ = try await call()
            Issue.record("The call succeeded; \(code.rawValue) was expected", sourceLocation: sourceLocation)
            return []
        } catch {
            #expect(error.code == code, "\(error)", sourceLocation: sourceLocation)
            return error.failures
        }
    }

    /// Names of everything that lies in the repository, sealed or not.
    func remnants() throws -> [String] {
        try ["staging", "snapshots", "trash"].flatMap { room in
            let path = configuration.repository + "/" + room
            guard FileManager.default.fileExists(atPath: path) else { return [String]() }
            return try FileManager.default.contentsOfDirectory(atPath: path)
        }
    }
}

extension MachineSummary {
    static func running(_ name: String, state: String = "running", blockers: [Failure] = []) -> MachineSummary {
        MachineSummary(
            uuid: "00000000-0000-0000-0000-" + String(repeating: "0", count: 12 - name.utf8.count) + name, name: name,
            state: state, memory: 128 << 20, nics: [MemberNIC(mac: "52:54:00:00:00:01")], diskBytes: 1 << 20,
            hypervisor: "fake", requirements: ["hypervisor": "fake"], blockers: blockers)
    }
}
