import ArgumentParser
import ManagerClient

struct ClusterDelete: ManagerCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Forgets a cluster. Its VMs and its snapshots stay.")

    @Argument(help: "Name of the cluster.")
    var name: String

    @OptionGroup var connection: ConnectionOptions

    func ask(_ manager: any ManagerCalls) async throws(ManagerCallError) -> Answer {
        try await manager.deleteCluster(name)
        return .clusterDeleted(name)
    }
}
