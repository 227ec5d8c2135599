import Hypervisor
import LibvirtHypervisor
package import Logging
import PacketGate
import SnapshotProtocol
package import WireProtocol

/// The agent's own examination of its desktop: without a manager, whether the agent runs or not.
package struct OfflineDoctor: Sendable {
    private let configuration: AgentConfiguration
    private let logger: Logger

    package init(configuration: AgentConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    package func findings() async throws -> [Finding] {
        // Held to the end: an agent that starts meanwhile waits for its turn, since both would prepare cuts of the same
        // VMs. Without the rights to say so no agent could start either.
        let claim = try? HostClaim()
        let isAgentRunning = claim == nil
        let gate: any GateExaminer =
            isAgentRunning ? ClaimedGate() : UnclaimedGate(queueBase: configuration.queueBase)
        let examination = DesktopExamination(
            configuration: configuration, hypervisor: try DesktopServices.hypervisor(configuration, logger: logger),
            gate: gate,
            trials: isAgentRunning
                ? .none(why: "the agent runs, which alone may do that; `holdfast doctor --host` asks it")
                : .room(TrialRoom()), logger: logger)
        let findings = [enrolment()] + (await examination.findings(about: []))
        withExtendedLifetime(claim) {}
        return findings
    }

    private func enrolment() -> Finding {
        do {
            let identity = try AgentIdentity.load(from: configuration.state)
            return Finding(
                .enrolment, .desktop(configuration.host), ok: "The desktop is enrolled with \(identity.gateway).")
        } catch {
            return Finding(.enrolment, .desktop(configuration.host), blocker: failure(of: error, member: nil))
        }
    }
}

/// For a desktop whose agent runs: queues that are bound may be its own.
private struct ClaimedGate: GateExaminer {
    func inspectQueues(members: Int) -> [(number: UInt16, failure: GateError?)] { [] }

    func inspectBridge(_ name: String) throws(GateError) { try GateInspection.checkBridge(name) }
}
