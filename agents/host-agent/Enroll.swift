import ArgumentParser
import HostAgent
import SnapshotProtocol

struct Enroll: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Trade a one-time token of `holdfast-manager token` for this desktop's certificate.")

    @Option(help: "The agent's configuration file.")
    var config = "/etc/holdfast/agent.yaml"

    @Option(help: "The token, as the manager printed it.")
    var token: String

    func run() async throws {
        try await reportingFailures {
            let configuration = try await AgentConfiguration.load(from: config)
            let identity = try await AgentIdentity.enroll(with: token, as: configuration.host)
            try identity.store(in: configuration.state)
            print("\(configuration.host) is enrolled with \(identity.gateway).")
        }
    }
}
