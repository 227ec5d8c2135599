import Hypervisor
import Logging
import NIOConcurrencyHelpers

/// Puts right, when an agent starts, what one that was killed left of its epochs and restores.
///
/// No epoch or restore may begin before it is done: both sides would cut, merge, load and destroy the same VMs.
final class DesktopRecovery: Sendable {
    private let configuration: AgentConfiguration
    private let hypervisor: any HypervisorDriver
    private let logger: Logger
    private let done = NIOLockedValueBox(false)

    init(configuration: AgentConfiguration, hypervisor: any HypervisorDriver, logger: Logger) {
        self.configuration = configuration
        self.hypervisor = hypervisor
        self.logger = logger
    }

    var isDone: Bool { done.withLockedValue { $0 } }

    /// Tries again until the hypervisor can be reached, or the task is cancelled.
    func run() async {
        var announced = false
        while !Task.isCancelled {
            do {
                try await hypervisor.recover(workspace: configuration.workspace)
                try await RestoreJournal.recover(in: configuration.state, hypervisor: hypervisor, logger: logger)
                return done.withLockedValue { $0 = true }
            } catch {
                if !announced { logger.error("recovery is waiting", metadata: ["error": "\(error)"]) }
                announced = true
                try? await Task.sleep(for: .milliseconds(500))
            }
        }
    }

    /// Returns when the recovery is done, after `patience`, or when the task is cancelled.
    func wait(atMost patience: Duration) async {
        let end = ContinuousClock.now + patience
        while !isDone, !Task.isCancelled, ContinuousClock.now < end {
            try? await Task.sleep(for: .milliseconds(10))
        }
    }
}
