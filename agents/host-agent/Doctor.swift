import ArgumentParser
import HoldfastCommands
import HostAgent
import Logging
import SnapshotProtocol

struct Doctor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say what on this desktop stands in the way of a snapshot, and what to do about it.",
        discussion: """
            Works without a manager, and whether the agent runs or not; while it does, what only the agent itself can \
            look at is left out. Freezes and holds nothing. Exit codes are those of `holdfast exit-codes`.
            """)

    @Option(help: "The agent's configuration file.")
    var config = "/etc/holdfast/agent.yaml"

    @OptionGroup var strictness: DoctorOptions

    @Option(help: "How the answer is written: table or json.")
    var output: OutputFormat = .table

    func run() async throws {
        try await reportingFailures {
            let configuration = try await AgentConfiguration.load(from: config)
            var logger = Logger(label: "holdfast.agent")
            logger.logLevel = .critical
            let findings = try await OfflineDoctor(configuration: configuration, logger: logger).findings()
            let diagnosis = strictness.diagnosis(findings)
            print(diagnosis.rendered(as: output), terminator: "")
            if let code = diagnosis.exitCode { throw ExitCode(code.exitCode) }
        }
    }
}
