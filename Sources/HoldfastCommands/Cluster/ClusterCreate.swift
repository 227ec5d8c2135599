import ArgumentParser
import ManagerClient
import SnapshotProtocol

struct ClusterCreate: ManagerCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Makes a cluster.",
        discussion: "A VM belongs to one cluster at most. Its name must be unique among all hosts' running VMs.")

    @Argument(help: "Name of the cluster.")
    var name: String

    @Option(name: .customLong("member"), help: ArgumentHelp("A VM; give it once for each.", valueName: "vm"))
    var members: [String]

    @OptionGroup var connection: ConnectionOptions

    func ask(_ manager: any ManagerCalls) async throws(ManagerCallError) -> Answer {
        .cluster(try await manager.createCluster(name, members: members.map { MemberName($0) }))
    }
}
