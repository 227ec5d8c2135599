import Foundation
import Hypervisor
import Logging
import NIOConcurrencyHelpers
import SnapshotProtocol
import Testing

@testable import HostAgent

@Suite("An agent that was started again", .timeLimit(.minutes(1)))
struct DesktopRecoveryTests {
    private let hypervisor = FakeHypervisor([])

    private func recovery() -> DesktopRecovery {
        let folder = NSTemporaryDirectory() + "holdfast-recovery-\(UUID().uuidString)"
        let configuration = AgentConfiguration(
            host: HostName("desktop-1"), state: folder, repository: folder, storage: folder)
        return DesktopRecovery(configuration: configuration, hypervisor: hypervisor, logger: Logger(label: "test"))
    }

    @Test("It is not done before the hypervisor has put everything right, and tries until it has")
    func again() async throws {
        hypervisor.recoveryFailure.withLockedValue { $0 = .unavailable("libvirtd is down") }
        let recovery = recovery()
        let running = Task { await recovery.run() }
        while hypervisor.calls.withLockedValue({ $0.isEmpty }) { try await Task.sleep(for: .milliseconds(1)) }
        await recovery.wait(atMost: .milliseconds(1))
        #expect(!recovery.isDone)
        hypervisor.recoveryFailure.withLockedValue { $0 = nil }
        await recovery.wait(atMost: .seconds(50))
        #expect(recovery.isDone)
        await running.value
        #expect(hypervisor.calls.withLockedValue { $0.count } > 1)
    }

    @Test("It ends when the agent is told to")
    func cancelled() async throws {
        hypervisor.recoveryFailure.withLockedValue { $0 = .unavailable("libvirtd is down") }
        let recovery = recovery()
        let running = Task { await recovery.run() }
        running.cancel()
        await running.value
        #expect(!recovery.isDone)
    }
}
