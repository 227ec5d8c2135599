import ArgumentParser
import ManagerClient

struct ClusterList: ManagerCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists the clusters.")

    @OptionGroup var connection: ConnectionOptions

    func ask(_ manager: any ManagerCalls) async throws(ManagerCallError) -> Answer {
        .clusters(try await manager.clusters())
    }
}
