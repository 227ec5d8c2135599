import Foundation
import Hypervisor
import Logging
import NIOConcurrencyHelpers
import PacketGate
import Packets
import SnapshotProtocol
import Testing
import WireProtocol

@testable import HostAgent

@Suite("A restore on one desktop")
struct RestoreRunnerTests {
    /// Notes, in one list with the hypervisor, what is asked of the gate.
    private final class RecordingGate: RestoreGate {
        private let hypervisor: FakeHypervisor

        init(_ hypervisor: FakeHypervisor) { self.hypervisor = hypervisor }

        func fence(hardwareAddresses: [HardwareAddress], bridges: Set<String>) throws(GateError) {
            hypervisor.note("fence \(hardwareAddresses.map(\.description).joined(separator: ","))")
        }

        func liftFence() throws(GateError) { hypervisor.note("lift fence") }

        func replay(frames: [[UInt8]], into tap: String) throws(GateError) {
            hypervisor.note("replay \(frames.map { "\($0[14])" }.joined(separator: ",")) into \(tap)")
        }
    }

    private struct Run {
        var calls: [String]
        var reports: [RestoreReport]
    }

    /// Drives the runner with what a manager would send, each command after the report of the one before.
    private func restore(
        running: Bool, replace: Bool, replay: Bool = true, upTo last: Int = 5,
        hypervisor configure: (FakeHypervisor) -> Void = { _ in }
    ) async throws -> Run {
        let root = NSTemporaryDirectory() + "holdfast-runner-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: root) }
        let fixture = try SnapshotFixture(
            [
                "a": [SnapshotFixture.frame("c", "a", 9)],
                "b": [SnapshotFixture.frame("b", "a", 4)],
            ], at: root + "/repository")
        var plan = fixture.plan
        plan.members[0].host = HostName("desktop-1")
        plan.members[1].host = HostName("desktop-2")
        plan.replaceRunning = replace
        plan.replayLogs = replay
        let configuration = AgentConfiguration(
            host: HostName("desktop-1"), state: root + "/state", repository: root + "/repository",
            storage: root + "/storage")
        try FileManager.default.createDirectory(atPath: root + "/state", withIntermediateDirectories: true)
        var original = VirtualMachine.sample("a")
        original.nics[0].mac = SnapshotFixture.macs["a"]!
        var copy = original
        copy.disks = [
            .init(
                target: "vda", path: "\(root)/storage/restored/uuid-a/\(plan.snapshot)-7/vda.qcow2", format: "qcow2",
                readOnly: false)
        ]
        let hypervisor = FakeHypervisor(running ? [original] : [], loads: copy)
        configure(hypervisor)
        let (messages, continuation) = AsyncStream.makeStream(of: AgentMessage.self)
        let runner = RestoreRunner(
            configuration: configuration, gate: RecordingGate(hypervisor), hypervisor: hypervisor,
            logger: Logger(label: "test"), id: 7
        ) { continuation.yield($0) }
        let task = Task {
            await runner.run()
            continuation.finish()
        }
        var next: [RestoreCommand] = [.load, .replay, .open, .start, .finish].prefix(last) + []
        var reports: [RestoreReport] = []
        runner.feed(.command(.fence(plan)))
        for await message in messages {
            guard case .restore(_, let report) = message else { continue }
            reports.append(report)
            switch report {
            case .refused, .failed: runner.feed(.command(.discard(reason: "test")))
            default: runner.feed(.command(next.isEmpty ? .discard(reason: "test") : next.removeFirst()))
            }
        }
        await task.value
        return Run(calls: hypervisor.calls.withLockedValue { $0 }, reports: reports)
    }

    @Test("The fence stands before an original is stopped, and until all that is logged has been replayed")
    func fenceAndReplay() async throws {
        let run = try await restore(running: true, replace: true)
        #expect(
            run.calls == [
                "fence 52:54:00:00:00:0a,52:54:00:00:00:0b", "destroy uuid-a", "load a", "replay 9,4 into tap0",
                "lift fence", "announce uuid-a", "resume uuid-a", "keep uuid-a",
            ])
        #expect(run.reports.last == .finished)
        #expect(run.reports.contains(.replayed(segments: 2)))
    }

    @Test("Without the replay nothing is written into a tap")
    func withoutReplay() async throws {
        let run = try await restore(running: false, replace: false, replay: false)
        #expect(!run.calls.contains { $0.hasPrefix("replay") })
        #expect(run.reports.last == .finished)
    }

    @Test("What is discarded is destroyed also when the hypervisor is away for a moment")
    func discardedLater() async throws {
        let run = try await restore(running: false, replace: false, upTo: 2) { hypervisor in
            hypervisor.failingDestructions.withLockedValue { $0 = 2 }
        }
        #expect(run.calls.contains("destroy uuid-a"), "\(run.calls)")
        #expect(run.calls.count { $0 == "fail to destroy uuid-a" } == 2)
        #expect(run.reports.last == .discarded)
    }

    @Test("What a load has left that failed half-way is destroyed")
    func halfLoaded() async throws {
        let run = try await restore(running: false, replace: false) { hypervisor in
            hypervisor.loadFails.withLockedValue { $0 = true }
        }
        #expect(run.calls.contains("destroy uuid-a"), "\(run.calls)")
        #expect(run.reports.last == .discarded)
    }

    @Test("While originals run nothing is fenced, stopped or loaded")
    func refused() async throws {
        let run = try await restore(running: true, replace: false)
        #expect(!run.calls.contains { !$0.hasPrefix("lift") }, "\(run.calls)")
        #expect(
            run.reports.contains { report in
                if case .refused(let failures) = report { failures.map(\.code) == [.originalsRunning] } else { false }
            })
    }
}
