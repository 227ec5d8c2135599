import FoundationEssentials
import Hypervisor
import LibvirtHypervisor
package import Logging
import PacketGate
import QEMUHypervisor
import SnapshotProtocol
import VirtualBoxHypervisor

extension DesktopServices {
    /// The agent's own program does it; `/proc/self/exe` is there also when an upgrade has replaced the file.
    package static let keeperCommand = "keep-image"

    private static func keeper(_ logger: Logger) throws -> ImageKeeper {
        try ImageKeeper(command: ["/proc/self/exe", keeperCommand], logger: logger)
    }

    /// The hypervisors of this desktop.
    static func hypervisor(_ configuration: AgentConfiguration, logger: Logger) throws -> any HypervisorDriver {
        let keeper = try keeper(logger)
        var drivers: [any HypervisorDriver] = []
        if !configuration.libvirt.isEmpty {
            drivers.append(LibvirtDriver(uri: configuration.libvirt, keeper: keeper, logger: logger))
        }
        if let qemu = configuration.qemu {
            drivers.append(
                QEMUDriver(sockets: qemu.sockets, machines: qemu.machines, keeper: keeper, logger: logger))
        }
        if !configuration.virtualBox.isEmpty {
            drivers.append(
                VirtualBoxDriver(
                    programs: VirtualBoxPrograms(command: configuration.virtualBox),
                    front: configuration.showsWindows ? .window : .headless, logger: logger))
        }
        return DesktopHypervisors(drivers)
    }

    /// What the agent's program does when it is called with `keeperCommand`.
    package static func keepImage() { ImageKeeper.keep() }

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
                hypervisor: try hypervisor(configuration, logger: logger), logger: logger)
        } catch {
            throw failure(of: error, member: nil)
        }
    }
}
