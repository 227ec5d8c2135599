import ArgumentParser

@main
struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast-simulate",
        abstract: "Run the snapshot protocol's machines through random histories in virtual time, and judge them.",
        subcommands: [SimulateRun.self, SimulateMutants.self, SimulateTrace.self])
}
