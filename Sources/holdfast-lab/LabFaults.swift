import ArgumentParser
import DesktopLab
import Foundation

struct LabFaults: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "faults",
        abstract: "Do every fault at every phase of a snapshot and of a restore, and show what held.")

    @Option(help: "Where to write the report.")
    var report = ".build/faults/report.json"

    @Option(help: "One third of the table: 0, 1 or 2.")
    var third: Int?

    @Option(help: ArgumentHelp("Only these cases; may be repeated.", valueName: "fault[@phase]"))
    var only: [String] = []

    @Option(help: "Folder of holdfast, holdfast-agent and holdfast-manager; the one of this program by default.")
    var executables: String?

    @Option(name: .customLong("dir"), help: "Folder of the lab, which exists only while the faults are done.")
    var directory = "/var/lib/hf-faults"

    @OptionGroup var guests: LabGuestOptions

    func validate() throws {
        if let third, !(0...2).contains(third) { throw ValidationError("--third takes 0, 1 or 2") }
        for text in only where !FaultCase.all.contains(where: { $0.matches(text) }) {
            let faults = Fault.allCases.map(\.rawValue).joined(separator: ", ")
            let phases = FaultCase.columns.map { FaultCase.column($0.job, $0.phase) }.joined(separator: ", ")
            throw ValidationError("\(text) names no case; faults: \(faults); phases: \(phases)")
        }
    }

    func run() async throws {
        let say: @Sendable (String) -> Void = { FileHandle.standardError.write(Data("\($0)\n".utf8)) }
        var cases = third.map { FaultCase.third($0) } ?? FaultCase.all
        if !only.isEmpty { cases = cases.filter { subject in only.contains { subject.matches($0) } } }
        // Elsewhere there is no libvirtd to be killed.
        if !guests.hypervisor.uses(.libvirt) { cases = cases.filter { $0.fault != .libvirtdKilled } }
        guard !cases.isEmpty else {
            throw ValidationError(
                "guests under \(guests.hypervisor.rawValue) have none of these cases; see --hypervisor")
        }
        let chosen = cases
        let file = URL(filePath: report)
        let campaign = FaultCampaign(
            configuration: guests.apply(
                to: FaultCampaign.configuration(
                    directory: directory, executables: executables, hypervisor: guests.hypervisor)),
            evidence: file.deletingLastPathComponent().appending(path: "logs").path, say: say)
        let results = try await untilInterrupted { try await campaign.run(chosen) }
        let outcome = FaultReport(third: third, results: results)
        try ReportFile.write(outcome, to: report)
        print(outcome.table)
        print("report: \(report)")
        if outcome.held < outcome.cases { throw ExitCode.failure }
    }
}
