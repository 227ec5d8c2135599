import ArgumentParser
import ManagerClient
import SnapshotProtocol
package import WireProtocol

struct DoctorCommand: ManagerCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Says what stands in the way of a snapshot, and what to do about it.",
        discussion: """
            Without an argument it looks at all enrolled desktops. Of a cluster it looks at its members and their \
            desktops, says where each member could be restored, and tests the paths between them with real markers. \
            Nothing is frozen and nothing is held. Ends with the exit code of blockers-found when a snapshot would be \
            refused or given up. On a desktop that is not connected, `holdfast-agent doctor` says the same without a \
            manager.
            """)

    @Argument(help: "Name of the cluster.")
    var cluster: String?

    @Option(help: "Look at one desktop only.")
    var host: String?

    @OptionGroup var strictness: DoctorOptions
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        if cluster != nil, host != nil { throw ValidationError("Name a cluster or a desktop, not both.") }
    }

    func ask(_ manager: any ManagerCalls) async throws(ManagerCallError) -> Answer {
        let scope: DiagnosisScope =
            if let cluster { .cluster(cluster) } else if let host { .desktop(HostName(host)) } else { .desktops }
        return .diagnosis(strictness.diagnosis(try await manager.diagnose(scope)))
    }
}

/// What everything that diagnoses takes.
package struct DoctorOptions: ParsableArguments {
    @Flag(help: "Warnings count as blockers do.")
    package var strict = false

    @Flag(name: .shortAndLong, help: "Show also what is in order.")
    package var verbose = false

    package init() {}

    package func diagnosis(_ findings: [Finding]) -> Diagnosis {
        Diagnosis(findings: findings, isStrict: strict, isVerbose: verbose)
    }
}
