import ArgumentParser
import ManagerClient

struct SnapshotShow: ManagerCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows what is recorded of a snapshot, and the verdict on it.")

    @Argument(help: "Name of the snapshot.")
    var snapshot: String

    @OptionGroup var connection: ConnectionOptions

    func ask(_ manager: any ManagerCalls) async throws(ManagerCallError) -> Answer {
        .snapshot(try await manager.snapshot(snapshot))
    }
}
