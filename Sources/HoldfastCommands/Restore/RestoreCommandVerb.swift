import ArgumentParser
import ManagerClient
import SnapshotProtocol
import WireProtocol

struct RestoreCommandVerb: ManagerCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Restores all members of a snapshot, or none.",
        discussion: """
            Each member goes back to its host or, when that is lost, to another that fits. Refuses while originals \
            run, and while a host is out of reach on which one may run.
            """)

    @Argument(help: "Name of the snapshot.")
    var snapshot: String

    @Option(
        name: .customLong("place"),
        help: ArgumentHelp("Run a member on another host; may be repeated.", valueName: "member=host"))
    var placements: [Placement] = []

    @Flag(help: "Stop the members that still run.")
    var replace = false

    @Option(
        name: .customLong("lost"),
        help: ArgumentHelp("A host that is down for good; may be repeated.", valueName: "host"))
    var lostHosts: [String] = []

    @Flag(name: .customLong("no-replay"), help: "Do not write the channel logs into the taps. For diagnosis only.")
    var noReplay = false

    @Flag(name: .customLong("no-verify"), help: "Do not recompute the hashes of the stored parts first.")
    var noVerify = false

    @OptionGroup var connection: ConnectionOptions

    struct Placement: ExpressibleByArgument {
        let member: String
        let host: String

        /// Split at the last sign: VM names may hold one, host names may not.
        init?(argument: String) {
            guard let sign = argument.lastIndex(of: "=") else { return nil }
            member = String(argument[..<sign])
            host = String(argument[argument.index(after: sign)...])
            if member.isEmpty || host.isEmpty { return nil }
        }
    }

    func validate() throws {
        var seen: Set<String> = []
        for placement in placements where !seen.insert(placement.member).inserted {
            throw ValidationError("\(placement.member) is placed twice.")
        }
    }

    func ask(_ manager: any ManagerCalls) async throws(ManagerCallError) -> Answer {
        let request = RestoreRequest(
            snapshot: snapshot,
            placements: Dictionary(
                placements.map { (MemberName($0.member), HostName($0.host)) }, uniquingKeysWith: { _, last in last }),
            replaceRunning: replace, lostHosts: Set(lostHosts.map { HostName($0) }), replayLogs: !noReplay,
            verify: !noVerify)
        let display = ProgressDisplay(CommandEnvironment.current)
        defer { display.end() }
        return .restored(try await manager.restore(request) { display.show($0) })
    }
}
