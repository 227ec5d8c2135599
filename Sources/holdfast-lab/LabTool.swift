import ArgumentParser

@main
struct LabTool: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast-lab",
        abstract: "A desktop cloud on one machine, to try Holdfast and to test it.",
        subcommands: [
            LabUp.self, LabStatus.self, LabReports.self, LabExec.self, LabDemo.self, LabBench.self, LabFaults.self,
            LabStraggler.self, LabDown.self,
        ])
}
