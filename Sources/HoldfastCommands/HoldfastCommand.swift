import ArgumentParser

/// The command line.
struct HoldfastCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast",
        abstract: "Takes and restores consistent global snapshots of VMs on many desktops.",
        discussion: """
            Answers go to standard output, as a table or as JSON; errors go to standard error. Every reason for a \
            failure has its own exit code: see `holdfast help exit-codes`.
            """,
        subcommands: [
            AgentsCommand.self, MachinesCommand.self, ClusterCommand.self, SnapshotCommandGroup.self,
            RestoreCommandVerb.self, DoctorCommand.self, ExitCodesCommand.self,
        ])
}
