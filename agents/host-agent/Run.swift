import ArgumentParser
import HostAgent
import Logging
import ServiceLifecycle
import SnapshotProtocol
import UnixSignals

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Serve the manager until told to stop.")

    @Option(help: "The agent's configuration file.")
    var config = "/etc/holdfast/agent.yaml"

    @Option(help: "Least severe level to log: trace, debug, info, notice, warning, error, critical.")
    var logLevel = "info"

    func run() async throws {
        try await reportingFailures {
            guard let level = Logger.Level(rawValue: logLevel) else {
                throw Failure(.usage, "`\(logLevel)` is no log level. Use info, or debug to see every phase.")
            }
            let configuration = try await AgentConfiguration.load(from: config)
            let identity = try AgentIdentity.load(from: configuration.state)
            var logger = Logger(label: "holdfast.agent")
            logger.logLevel = level
            let services = try DesktopServices.open(configuration, logger: logger)
            let agent = HostAgent(services: services, identity: identity)
            let group = ServiceGroup(
                configuration: .init(
                    services: [.init(service: agent)], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
            try await group.run()
        }
    }
}
