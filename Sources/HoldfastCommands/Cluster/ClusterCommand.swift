import ArgumentParser

struct ClusterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster", abstract: "Names the VMs that are snapshotted together.",
        subcommands: [ClusterCreate.self, ClusterList.self, ClusterShow.self, ClusterDelete.self])
}
