import Foundation
import SnapshotProtocol
import Testing

/// Runs every file in `Traces` and compares what the machines decide, line by line.
///
/// `HOLDFAST_REWRITE_TRACES=1` writes what they decide now into the files instead; read the difference before you
/// keep it.
@Suite struct GoldenTraceTests {
    private static let rewrites = ProcessInfo.processInfo.environment["HOLDFAST_REWRITE_TRACES"] == "1"

    @Test(arguments: TraceFile.names) func trace(_ name: String) throws {
        let file = try TraceFile(name: name)
        var scenario: (any TraceScenario)?
        var rewritten: [TraceFile.Item] = []
        var examined = 0
        for item in file.items {
            guard case .command(let text, let line, let expected) = item else {
                rewritten.append(item)
                continue
            }
            var actual: [String] = []
            do {
                let command = try TraceCommand(text)
                switch command.verb {
                case "cluster": scenario = SnapshotScenario(command)
                case "restore": scenario = RestoreScenario(command)
                default:
                    guard scenario != nil else { throw TraceError(description: "there is no cluster yet") }
                    actual = try scenario!.run(command)
                }
            } catch {
                Issue.record("\(name):\(line): \(text): \(error)")
                return
            }
            if actual.isEmpty { actual = ["(nothing)"] }
            rewritten.append(.command(text, line: line, expected: expected == nil ? nil : actual))
            guard let expected else { continue }
            examined += 1
            if !Self.rewrites, expected != actual {
                let difference = TraceFile.difference(expected: expected, actual: actual)
                Issue.record("\(name):\(line): \(text)\n\(difference)")
            }
        }
        #expect(examined > 0, "\(name) examines nothing.")
        if Self.rewrites { try file.write(rewritten) }
    }

    /// Without this an empty folder would pass.
    @Test func theTracesAreThere() {
        for name in ["good-way.txt", "abort-cancel.txt", "manager-lost.txt", "restore-good-way.txt"] {
            #expect(TraceFile.names.contains(name))
        }
    }
}
