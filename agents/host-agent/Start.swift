import ArgumentParser
import HostAgent
import Logging

struct Start: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Switch on a VM under QEMU alone that is off: one that was restored here, or that you have described.",
        discussion: """
            Its description is a file of the folder `qemu.machines`. Whoever started a VM by a command line of their own \
            starts it again by that. Exit codes are those of `holdfast exit-codes`.
            """)

    @Argument(help: "Name or UUID of the VM.")
    var machine: String

    @Option(help: "The agent's configuration file.")
    var config = "/etc/holdfast/agent.yaml"

    func run() async throws {
        try await reportingFailures {
            let configuration = try await AgentConfiguration.load(from: config)
            var logger = Logger(label: "holdfast.agent")
            logger.logLevel = .critical
            try await OwnGuests.start(machine, configuration, logger: logger)
            print("\(machine) runs.")
        }
    }
}
