import ArgumentParser
import DesktopLab
import Foundation

struct LabDemo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Snapshot, kill and restore a cluster of real guests, and show what became of it.")

    @Option(help: "Number of desktops.")
    var desktops = 3

    @Option(help: "Number of machines.")
    var vms = 4

    @Option(help: "Where to write the report.")
    var report = ".build/demo/report.json"

    @Option(help: "Folder of holdfast, holdfast-agent and holdfast-manager; the one of this program by default.")
    var executables: String?

    @Option(name: .customLong("dir"), help: "Folder of the lab, which exists only while the demonstration runs.")
    var directory = "/var/lib/holdfast-demo"

    @OptionGroup var guests: LabGuestOptions

    func run() async throws {
        let say: @Sendable (String) -> Void = { FileHandle.standardError.write(Data("\($0)\n".utf8)) }
        try await Lab.down(directory)
        let configuration = guests.apply(
            to: LabConfiguration(
                desktops: desktops, machines: vms, directory: directory, executables: executables))
        let result = try await withLab(configuration, say: say) { lab in
            try await Demonstration(lab: lab, say: say).run()
        }
        try ReportFile.write(result, to: report)
        print(Demonstration.table(result))
        print("report: \(report)")
        let shortcomings = Demonstration.shortcomings(of: result)
        for shortcoming in shortcomings { say(shortcoming) }
        if !shortcomings.isEmpty { throw ExitCode.failure }
    }
}

/// Gives `body` a lab and takes it down again, also when it fails or the user interrupts.
func withLab<Value: Sendable>(
    _ configuration: LabConfiguration, say: @escaping @Sendable (String) -> Void,
    _ body: @escaping @Sendable (Lab) async throws -> Value
) async throws -> Value {
    try await untilInterrupted {
        let lab = try await Lab.up(configuration, progress: say)
        let outcome: Result<Value, any Error>
        do {
            outcome = .success(try await body(lab))
        } catch {
            outcome = .failure(error)
        }
        // Not by this task, which may have been cancelled.
        try await Task { try await lab.down() }.value
        return try outcome.get()
    }
}

/// Runs `body`, and cancels it when the user interrupts.
func untilInterrupted<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
    let work = Task { try await body() }
    let signals = [SIGINT, SIGTERM].map { number in
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number)
        source.setEventHandler { work.cancel() }
        source.resume()
        return source
    }
    defer { for source in signals { source.cancel() } }
    return try await work.value
}
