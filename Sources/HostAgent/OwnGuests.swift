import Foundation
import Hypervisor
package import Logging
import QEMUHypervisor
package import SnapshotProtocol

/// The VMs under QEMU alone that nobody but the agent's program could start: those that were restored here, and those that
/// their owner has described in `qemu.machines`.
package enum OwnGuests {
    /// - Parameter machine: name or UUID.
    package static func start(
        _ machine: String, _ configuration: AgentConfiguration, logger: Logger
    ) async throws(Failure) {
        guard let qemu = configuration.qemu else {
            throw Failure(
                .usage, "This desktop's configuration has no `qemu`: its VMs are started by their own hypervisor.")
        }
        do throws(HypervisorError) {
            try await QEMUDriver(sockets: qemu.sockets, machines: qemu.machines, logger: logger).start(machine)
        } catch {
            throw error.failure(of: MemberName(machine))
        }
    }
}
