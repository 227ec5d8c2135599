import Foundation
import Testing

/// The built tool, as `make simulate` runs it.
struct SimulateToolTests {
    private func run(_ arguments: String...) throws -> (status: Int32, output: String) {
        var folder = URL(filePath: #filePath)
        for _ in 0..<3 { folder.deleteLastPathComponent() }
        let process = Process()
        process.executableURL = folder.appending(path: ".build/debug/holdfast-simulate")
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }

    @Test func endsWithTheCountAndTheRateWhenNoPromiseIsBroken() throws {
        let (status, output) = try run("run", "--schedules", "50", "--seed", "7")
        #expect(status == 0)
        #expect(
            output.contains(
                #/^seeds from 7\n50 schedules, 50 with faults, \d+ sealed \(\d+ in colour mode, \d+ after falling back\), \d+ restored, 0 violations, \d+ per second\n$/#
            ))
    }

    @Test func endsWithOneAndAShrunkHistoryWhenAPromiseIsBroken() throws {
        let (status, output) = try run("run", "--schedules", "60", "--mutant", "releaseBarrierOmitted")
        #expect(status == 1)
        let lines = output.split(separator: "\n")
        #expect(lines.first == "seeds from 1")
        #expect(lines.dropFirst().first?.contains(#/^seed \d+: [IP]\d?: /#) == true)
        #expect(lines.contains { $0.hasPrefix("The shortest history found from seed ") })
        #expect(lines.contains { $0.hasPrefix("  VIOLATION ") })
        #expect(
            lines.last?.contains(
                #/^60 schedules, 60 with faults, \d+ sealed \(\d+ in colour mode, \d+ after falling back\), \d+ restored, [1-9]\d* violations, /#
            )
                == true)
    }

    @Test func refusesAnUnknownDefect() throws {
        #expect(try run("run", "--schedules", "1", "--mutant", "none").status == 64)
    }
}
