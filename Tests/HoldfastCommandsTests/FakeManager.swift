import HoldfastCommands
import ManagerClient
import NIOConcurrencyHelpers
import SnapshotProtocol
import WireProtocol

/// A manager that answers what the test says, and remembers what it was asked.
final class FakeManager: ManagerCalls {
    struct Answers: Sendable {
        var agents: [AgentStatus] = []
        var inventory = MachineInventory(machines: [], failures: [])
        var clusters: [ClusterSummary] = []
        var snapshots: [SnapshotSummary] = []
        var problems: [String] = []
        /// Why a snapshot goes on in hold mode.
        var fallBack: String?
        /// Members whose hosts claim to have stored more than there can be.
        var boasting: [String] = []
        var error: ManagerCallError?
        var findings: [Finding] = []
    }

    let answers: Answers
    var calls: [String] { log.withLockedValue { $0.calls } }
    var request: RestoreRequest? { log.withLockedValue { $0.request } }

    private struct Log {
        var calls: [String] = []
        var request: RestoreRequest?
    }

    private let log = NIOLockedValueBox(Log())

    init(_ answers: Answers) { self.answers = answers }

    private func note(_ call: String) throws(ManagerCallError) {
        log.withLockedValue { $0.calls.append(call) }
        if let error = answers.error { throw error }
    }

    func agents() async throws(ManagerCallError) -> [AgentStatus] {
        try note("agents")
        return answers.agents
    }

    func machines() async throws(ManagerCallError) -> MachineInventory {
        try note("machines")
        return answers.inventory
    }

    func createCluster(_ name: String, members: [MemberName]) async throws(ManagerCallError) -> ClusterSummary {
        try note("create cluster \(name) \(members)")
        return ClusterSummary(name: name, members: members.map { .init(name: $0) })
    }

    func clusters() async throws(ManagerCallError) -> [ClusterSummary] {
        try note("clusters")
        return answers.clusters
    }

    func cluster(_ name: String) async throws(ManagerCallError) -> ClusterSummary {
        try note("cluster \(name)")
        return answers.clusters[0]
    }

    func deleteCluster(_ name: String) async throws(ManagerCallError) { try note("delete cluster \(name)") }

    func createSnapshot(
        of cluster: String, mode: ModeChoice, progress: @escaping @Sendable (SnapshotProgress) -> Void
    ) async throws(ManagerCallError) -> SnapshotSummary {
        progress(.phase("arming"))
        if let reason = answers.fallBack { progress(.fallBack(reason: reason)) }
        progress(.stored(member: MemberName("a"), bytes: 1_024, total: 2_048))
        for member in answers.boasting { progress(.stored(member: MemberName(member), bytes: .max, total: .max)) }
        try note("create snapshot \(cluster) in mode \(mode.rawValue)")
        return answers.snapshots[0]
    }

    func snapshots() async throws(ManagerCallError) -> [SnapshotSummary] {
        try note("snapshots")
        return answers.snapshots
    }

    func snapshot(_ id: String) async throws(ManagerCallError) -> SnapshotSummary {
        try note("snapshot \(id)")
        return answers.snapshots[0]
    }

    func verifySnapshot(_ id: String) async throws(ManagerCallError) -> SnapshotVerification {
        try note("verify \(id)")
        return SnapshotVerification(snapshot: answers.snapshots[0], problems: answers.problems)
    }

    func deleteSnapshot(_ id: String) async throws(ManagerCallError) { try note("delete snapshot \(id)") }

    func diagnose(_ scope: DiagnosisScope) async throws(ManagerCallError) -> [Finding] {
        try note("diagnose \(scope)")
        return answers.findings
    }

    func restore(
        _ request: RestoreRequest, progress: @escaping @Sendable (RestoreProgress) -> Void
    ) async throws(ManagerCallError) -> RestoreSummary {
        progress(.phase("loading"))
        log.withLockedValue { $0.request = request }
        try note("restore \(request.snapshot)")
        return RestoreSummary(
            snapshot: request.snapshot, members: [MemberName("b"): HostName("pc2"), MemberName("a"): HostName("pc1")],
            duration: 1_234_567_890, replayed: 7)
    }
}

/// One run of the program.
struct CommandRun: Sendable {
    let code: Int32
    let output: String
    let error: String
    let manager: FakeManager
    /// Address and credentials that the program dialled with.
    let dialled: [String?]

    static func run(
        _ arguments: String..., answers: FakeManager.Answers = .init(), variables: [String: String] = [:],
        isInteractive: Bool = false, dial: ManagerCallError? = nil
    ) async -> CommandRun {
        await run(arguments, answers: answers, variables: variables, isInteractive: isInteractive, dial: dial)
    }

    static func run(
        _ arguments: [String], answers: FakeManager.Answers = .init(), variables: [String: String] = [:],
        isInteractive: Bool = false, dial: ManagerCallError? = nil
    ) async -> CommandRun {
        let manager = FakeManager(answers)
        let output = NIOLockedValueBox("")
        let error = NIOLockedValueBox("")
        let dialled = NIOLockedValueBox<[String?]>([])
        let environment = CommandEnvironment(
            variables: variables, isInteractive: isInteractive,
            output: { text in output.withLockedValue { $0 += text } },
            error: { text in error.withLockedValue { $0 += text } },
            connect: { (address, folder) throws(ManagerCallError) in
                dialled.withLockedValue { $0 = [address, folder] }
                if let dial { throw dial }
                return manager
            })
        let code = await HoldfastMain.run(arguments, environment: environment)
        return CommandRun(
            code: code, output: output.withLockedValue { $0 }, error: error.withLockedValue { $0 }, manager: manager,
            dialled: dialled.withLockedValue { $0 })
    }
}
