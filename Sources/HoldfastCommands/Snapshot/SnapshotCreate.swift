import ArgumentParser
import ManagerClient
import WireProtocol

struct SnapshotCreate: ManagerCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Takes a global snapshot of a cluster.",
        discussion: "Ends when the snapshot is sealed. Interrupting it gives the snapshot up; the guests run on.")

    @Argument(help: "Name of the cluster.")
    var cluster: String

    @Option(
        help: """
            hold: all traffic between members is held for the fraction of a second in which they are cut. colour: \
            nothing is held but for members that are cut late; for many desktops and slow ones. Falls back to hold \
            where the network changes the traffic class. auto: the manager chooses.
            """)
    var mode: ModeChoice = .hold

    @OptionGroup var connection: ConnectionOptions

    func ask(_ manager: any ManagerCalls) async throws(ManagerCallError) -> Answer {
        let display = ProgressDisplay(CommandEnvironment.current)
        defer { display.end() }
        return .snapshot(try await manager.createSnapshot(of: cluster, mode: mode) { display.show($0) })
    }
}

extension ModeChoice: ExpressibleByArgument {}
