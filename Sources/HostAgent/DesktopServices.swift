package import Hypervisor
package import Logging
package import PacketGate
package import SnapshotProtocol
import SnapshotStore

/// What an agent's epochs and restores work with. One per agent.
package struct DesktopServices: Sendable {
    package var configuration: AgentConfiguration
    package var gate: PacketGate
    package var hypervisor: any HypervisorDriver
    package var logger: Logger

    package init(
        configuration: AgentConfiguration, gate: PacketGate, hypervisor: any HypervisorDriver, logger: Logger
    ) {
        self.configuration = configuration
        self.gate = gate
        self.hypervisor = hypervisor
        self.logger = logger
    }

    package var host: HostName { configuration.host }

    /// Opened anew for each use: what is mounted there may come and go.
    func repository() throws -> DirectoryRepository { try configuration.openRepository() }
}

extension AgentConfiguration {
    func openRepository() throws -> DirectoryRepository {
        do throws(StoreError) {
            return try DirectoryRepository(opening: repository)
        } catch {
            throw error.failure
        }
    }
}

/// Turns whatever was thrown into the product's terms.
func failure(of error: any Error, member: MemberName?) -> Failure {
    switch error {
    case let failure as Failure:
        return Failure(failure.code, member: failure.member ?? member, failure.message)
    case let error as HypervisorError: return error.failure(of: member)
    case let error as StoreError: return Failure(error.failure.code, member: member, error.failure.message)
    case let error as GateError: return error.failure(of: member)
    case is CancellationError: return Failure(.cancelled, member: member, "The work was cancelled.")
    default: return Failure(.internalError, member: member, "\(error)")
    }
}
