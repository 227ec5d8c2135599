import Configuration
import Foundation
import Logging
import SnapshotManager
import SnapshotProtocol
import Testing
import WireProtocol

@Suite struct StateTests {
    private func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = try ManagerFixture.temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(folder)
    }

    private func code(_ body: () async throws -> Void) async -> FailureCode? {
        do {
            try await body()
            return nil
        } catch {
            return (error as? ManagerError)?.failures.first?.code
        }
    }

    @Test func aStateIsMadeOnceAndItsSecretsAreItsOwnersOnly() async throws {
        try await withFolder { folder in
            let configuration = ManagerFixture.configuration(in: folder)
            try ManagerInitializer.run(configuration, name: "test")
            let state = configuration.state
            for path in [
                state.authorityKey, state.serverKey, state.administrator + "/key.pem",
                state.administrator + "/cert.pem", state.administrator + "/ca.pem",
            ] {
                let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
                #expect(mode == 0o600, "\(path)")
            }
            let before = try Data(contentsOf: URL(fileURLWithPath: state.authorityCertificate))
            let again = await code { try ManagerInitializer.run(configuration, name: "test") }
            #expect(again == .alreadyExists)
            let after = try Data(contentsOf: URL(fileURLWithPath: state.authorityCertificate))
            #expect(before == after)
        }
    }

    @Test func impossibleStatesAreRefused() async throws {
        try await withFolder { folder in
            let named = ManagerFixture.configuration(in: folder)
            #expect(await code { try ManagerInitializer.run(named, name: "a b") } == .usage)
            var everywhere = named
            everywhere.advertise = "0.0.0.0"
            #expect(await code { try ManagerInitializer.run(everywhere, name: "test") } == .usage)
            var nowhere = named
            nowhere.repository = "/proc/holdfast"
            #expect(await code { try ManagerInitializer.run(nowhere, name: "test") } == .repositoryNotWritable)
            let there = FileManager.default.fileExists(atPath: named.state.authorityCertificate)
            #expect(!there)
        }
    }

    @Test func aStateHasOneManagerAtATime() async throws {
        try await ManagerFixture.with { fixture in
            let second = await code { _ = try ManagerServer(fixture.configuration, logger: .init(label: "second")) }
            #expect(second == .busy)
        }
    }

    @Test func whatInitWritesIsWhatRunReads() async throws {
        try await withFolder { folder in
            var configuration = ManagerFixture.configuration(in: folder)
            configuration.listen = NetworkAddress(host: "::1", port: 7443)
            configuration.enrollment = NetworkAddress(host: "10.0.0.1", port: 7444)
            configuration.advertise = "manager.example"
            configuration.holdBudget = 900
            configuration.flushBound = 42
            configuration.inventoryBound = 5_000
            configuration.repository = folder + "/\"a\" \\b # \u{E4}\u{1F600}"
            configuration.logLevel = "no: level"
            try ManagerInitializer.run(configuration, name: "test")
            let read = try await ManagerConfiguration.load(file: configuration.state.configuration)
            #expect(read == configuration)
            let missing = await code { _ = try await ManagerConfiguration.load(file: folder + "/none.yaml") }
            #expect(missing == .notFound)
        }
    }

    @Test func theEnvironmentGoesOverTheFile() async throws {
        let file = InMemoryProvider(values: [
            "state": "/state", "repository": "/repository", "listen": "127.0.0.1:1", "enrollment": "127.0.0.1:2",
            "hold.budget": 500,
        ])
        let environment = EnvironmentVariablesProvider(environmentVariables: [
            "HOLDFAST_MANAGER_LISTEN": "127.0.0.1:9", "HOLDFAST_MANAGER_HOLD_FLUSH_BOUND": "7",
        ]).prefixKeys(with: "holdfast.manager")
        let reader = ConfigReader(providers: [environment, file])
        let configuration = try await ManagerConfiguration(reader, file: "manager.yaml")
        #expect(configuration.listen == NetworkAddress(host: "127.0.0.1", port: 9))
        #expect(configuration.enrollment.port == 2)
        #expect(configuration.holdBudget == 500)
        #expect(configuration.flushBound == 7)
    }

    @Test(arguments: [
        ("listen", "nonsense"), ("enrollment", "1"), ("hold.budget", "x"), ("hold.budget", "1"), ("state", ""),
        ("hold.flushBound", "0"), ("advertise", "a b"),
    ]) func settingsThatMakeNoSenseAreRefused(key: String, value: String) async throws {
        var variables = [
            "STATE": "/state", "REPOSITORY": "/repository", "LISTEN": "127.0.0.1:1", "ENROLLMENT": "127.0.0.1:2",
        ]
        let name = key.replacing(".", with: "_").replacing("flushBound", with: "flush_Bound").uppercased()
        variables[name] = value
        let reader = ConfigReader(provider: EnvironmentVariablesProvider(environmentVariables: variables))
        let refused = await code { _ = try await ManagerConfiguration(reader, file: "manager.yaml") }
        #expect(refused == .usage)
    }

    @Test func aKeyOfAnotherAuthorityIsNotTaken() async throws {
        let one = try CertificateAuthority(name: "one").credentials
        let two = try CertificateAuthority(name: "two").credentials
        _ = try CertificateAuthority(certificate: one.certificate, key: one.key)
        let mixed = await code { _ = try CertificateAuthority(certificate: one.certificate, key: two.key) }
        #expect(mixed == .internalError)
    }
}
