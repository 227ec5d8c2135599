import ArgumentParser
import DesktopLab
import Foundation

struct LabStraggler: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "straggler",
        abstract: "Measure what one member whose cut comes late costs the others, in hold and in colour mode.")

    @Option(help: "Snapshots in each mode.")
    var rounds = 3

    @Option(help: "For how long the member cannot be cut, in milliseconds.")
    var delay = 2_000

    @Option(help: "Guests, each on a desktop of its own.")
    var vms = 3

    @Option(help: "Where to write the report.")
    var report = ".build/bench/straggler.json"

    @Option(help: "Folder of holdfast, holdfast-agent and holdfast-manager; the one of this program by default.")
    var executables: String?

    @Option(name: .customLong("dir"), help: "Folder of the lab, which exists only while the benchmark runs.")
    var directory = "/var/lib/holdfast-straggler"

    func run() async throws {
        let say: @Sendable (String) -> Void = { FileHandle.standardError.write(Data("\($0)\n".utf8)) }
        try await Lab.down(directory)
        // It is the daemon of the straggler that is stopped for a while.
        let configuration = LabConfiguration(
            desktops: vms, machines: vms, directory: directory, executables: executables, hypervisor: .libvirt)
        let (rounds, delay) = (rounds, Duration.milliseconds(delay))
        let results = try await withLab(configuration, say: say) { lab in
            try await StragglerBenchmark(lab: lab, delay: delay, say: say).run(rounds: rounds)
        }
        try ReportFile.write(results, to: report)
        print(StragglerBenchmark.table(results))
        print("report: \(report)")
    }
}
