import ArgumentParser
import ManagerClient

struct SnapshotDelete: ManagerCommand {
    static let configuration = CommandConfiguration(commandName: "delete", abstract: "Deletes a snapshot for good.")

    @Argument(help: "Name of the snapshot.")
    var snapshot: String

    @OptionGroup var connection: ConnectionOptions

    func ask(_ manager: any ManagerCalls) async throws(ManagerCallError) -> Answer {
        try await manager.deleteSnapshot(snapshot)
        return .snapshotDeleted(snapshot)
    }
}
