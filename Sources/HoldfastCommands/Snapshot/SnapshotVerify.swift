import ArgumentParser
import ManagerClient

struct SnapshotVerify: ManagerCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Reads everything that is stored of a snapshot and judges it anew.",
        discussion: "Ends with the exit code of snapshot-damaged when something is missing or not as it was stored.")

    @Argument(help: "Name of the snapshot.")
    var snapshot: String

    @OptionGroup var connection: ConnectionOptions

    func ask(_ manager: any ManagerCalls) async throws(ManagerCallError) -> Answer {
        .verification(try await manager.verifySnapshot(snapshot))
    }
}
