import FoundationEssentials
import LibvirtHypervisor
package import Logging
import PacketGate
import SnapshotProtocol

extension DesktopServices {
    /// Opens what a desktop offers: sweeps what a killed agent left in the packet filter, and makes our own chains.
    package static func open(_ configuration: AgentConfiguration, logger: Logger) throws -> DesktopServices {
        for folder in [configuration.state, configuration.workspace] {
            do {
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            } catch {
                throw Failure(.noRights, "Could not make the folder \(folder): \(error). Run the agent as root.")
            }
        }
        var gate = GateConfiguration(stateDirectory: configuration.state)
        gate.queueBase = UInt16(configuration.queueBase)
        gate.queueLength = UInt32(configuration.queueLength)
        gate.receiveBuffer = configuration.receiveBuffer
        do {
            return DesktopServices(
                configuration: configuration, gate: try PacketGate(configuration: gate, logger: logger),
                hypervisor: LibvirtDriver(uri: configuration.libvirt, logger: logger), logger: logger)
        } catch {
            throw failure(of: error, member: nil)
        }
    }
}
