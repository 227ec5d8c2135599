import ArgumentParser
import ManagerClient

struct ClusterShow: ManagerCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows the members of a cluster and where they ran last.")

    @Argument(help: "Name of the cluster.")
    var name: String

    @OptionGroup var connection: ConnectionOptions

    func ask(_ manager: any ManagerCalls) async throws(ManagerCallError) -> Answer {
        .cluster(try await manager.cluster(name))
    }
}
