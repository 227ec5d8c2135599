import ArgumentParser
import ManagerClient

struct MachinesCommand: ManagerCommand {
    static let configuration = CommandConfiguration(
        commandName: "vms",
        abstract: "Lists the VMs of all connected hosts, and what keeps them from being snapshotted.")

    @OptionGroup var connection: ConnectionOptions

    func ask(_ manager: any ManagerCalls) async throws(ManagerCallError) -> Answer {
        .machines(try await manager.machines())
    }
}
