import ArgumentParser

struct SnapshotCommandGroup: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot", abstract: "Takes and keeps global snapshots.",
        subcommands: [
            SnapshotCreate.self, SnapshotList.self, SnapshotShow.self, SnapshotVerify.self, SnapshotDelete.self,
        ])
}
