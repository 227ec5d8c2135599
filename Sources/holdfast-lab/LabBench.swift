import ArgumentParser
import DesktopLab
import Foundation

struct LabBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure pauses with small and large guests, beside the hypervisor's own snapshot of one of them.")

    @Option(help: "Snapshots for each size of guest.")
    var rounds = 10

    @Option(help: "Memory of the small and of the large guests, in MiB.")
    var memory = [128, 1024]

    @Option(help: "Where to write the report.")
    var report = ".build/bench/pause.json"

    @Option(help: "Folder of holdfast, holdfast-agent and holdfast-manager; the one of this program by default.")
    var executables: String?

    @Option(name: .customLong("dir"), help: "Folder of the lab, which exists only while the benchmark runs.")
    var directory = "/var/lib/holdfast-bench"

    @OptionGroup var guests: LabGuestOptions

    func run() async throws {
        let say: @Sendable (String) -> Void = { FileHandle.standardError.write(Data("\($0)\n".utf8)) }
        try await Lab.down(directory)
        var results: [PauseBenchmark.Result] = []
        for size in memory {
            let configuration = guests.apply(
                to: LabConfiguration(memory: size, directory: directory, executables: executables))
            let rounds = rounds
            results.append(
                try await withLab(configuration, say: say) { lab in
                    try await PauseBenchmark(lab: lab, rounds: rounds, say: say).run()
                })
        }
        try ReportFile.write(results, to: report)
        print(PauseBenchmark.table(results))
        print("report: \(report)")
    }
}
