import Foundation
import Testing

@testable import DesktopLab

@Suite struct DaemonProcessTests {
    private func start(_ command: [String]) throws -> (process: DaemonProcess, log: String) {
        let log = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        return (try DaemonProcess.start(command, role: "test", log: log), log)
    }

    @Test func stopEndsIt() async throws {
        let (process, log) = try start(["sleep", "600"])
        defer { try? FileManager.default.removeItem(atPath: log) }
        #expect(process.isRunning)
        await process.stop()
        #expect(!process.isRunning)
    }

    @Test func stopEndsOneThatRefuses() async throws {
        let (process, log) = try start(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"])
        defer { try? FileManager.default.removeItem(atPath: log) }
        while (try? String(contentsOfFile: log, encoding: .utf8)) != "ready\n" {
            try await Task.sleep(for: .milliseconds(5))
        }
        await process.stop(patience: .milliseconds(100))
        #expect(!process.isRunning)
    }

    /// Its number alone does not make a process ours.
    @Test func aLaterProcessOfTheSameNumberIsLeftAlone() async throws {
        let (process, log) = try start(["sleep", "600"])
        defer { try? FileManager.default.removeItem(atPath: log) }
        let stranger = DaemonProcess(role: "test", pid: process.pid, startTime: process.startTime + 1)
        #expect(!stranger.isRunning)
        await stranger.stop()
        #expect(process.isRunning)
        await process.stop()
    }

    @Test func itsOutputGoesToTheLog() async throws {
        let (process, log) = try start(["sh", "-c", "echo out; echo err >&2"])
        defer { try? FileManager.default.removeItem(atPath: log) }
        while process.isRunning { try await Task.sleep(for: .milliseconds(5)) }
        #expect(try String(contentsOfFile: log, encoding: .utf8) == "out\nerr\n")
    }

    @Test func aMissingProgramIsNamed() {
        #expect(throws: LabError.self) { try start(["/nonexistent/program"]) }
    }
}
