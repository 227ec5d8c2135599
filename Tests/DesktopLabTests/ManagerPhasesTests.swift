import DesktopLab
import Foundation
import NIOConcurrencyHelpers
import Testing

@Suite("Following the manager's phases", .timeLimit(.minutes(1)))
struct ManagerPhasesTests {
    private let path = NSTemporaryDirectory() + "phases-\(UUID().uuidString).log"

    private func append(_ text: String) throws {
        let file = try #require(FileHandle(forWritingAtPath: path))
        try file.seekToEnd()
        try file.write(contentsOf: Data(text.utf8))
        try file.close()
    }

    private func line(_ job: String, _ phase: String) -> String {
        "2026-11-21T15:58:48+0000 debug holdfast.manager: ms=7 phase=\(phase) [SnapshotManager] \(job) enters a phase\n"
    }

    @Test("The wanted phase of the wanted job is noticed, also when its line comes in two pieces")
    func noticed() async throws {
        try Data(line("Epoch", "arming").utf8).write(to: URL(filePath: path))
        defer { unlink(path) }
        let phases = try ManagerPhases(log: path)
        let seen = NIOLockedValueBox<String?>(nil)
        phases.onEntry(of: "finishing", in: .restore) { seen.withLockedValue { $0 = phases.current } }
        try append(line("Epoch", "finishing"))
        let last = line("Restore", "finishing")
        try append(String(last.prefix(60)))
        try append(String(last.dropFirst(60)))
        #expect(await phases.entered())
        #expect(seen.withLockedValue { $0 } == "finishing")
        phases.end()
    }

    @Test("What was entered before, and what never comes, is not noticed")
    func missed() async throws {
        try Data(line("Epoch", "arming").utf8).write(to: URL(filePath: path))
        defer { unlink(path) }
        let phases = try ManagerPhases(log: path)
        phases.onEntry(of: "arming", in: .snapshot) { Issue.record("That was long ago.") }
        #expect(phases.current == "none")
        phases.end()
        #expect(await phases.entered() == false)
    }
}
