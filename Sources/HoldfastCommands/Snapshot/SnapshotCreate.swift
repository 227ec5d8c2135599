import ArgumentParser
import ManagerClient

struct SnapshotCreate: ManagerCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Takes a global snapshot of a cluster.",
        discussion: "Ends when the snapshot is sealed. Interrupting it gives the snapshot up; the guests run on.")

    @Argument(help: "Name of the cluster.")
    var cluster: String

    @OptionGroup var connection: ConnectionOptions

    func ask(_ manager: any ManagerCalls) async throws(ManagerCallError) -> Answer {
        let display = ProgressDisplay(CommandEnvironment.current)
        defer { display.end() }
        return .snapshot(try await manager.createSnapshot(of: cluster) { display.show($0) })
    }
}
