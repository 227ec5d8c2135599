import ArgumentParser
import ManagerClient

struct SnapshotList: ManagerCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists the sealed snapshots.")

    @OptionGroup var connection: ConnectionOptions

    func ask(_ manager: any ManagerCalls) async throws(ManagerCallError) -> Answer {
        .snapshots(try await manager.snapshots())
    }
}
