package import SnapshotProtocol
package import WireProtocol

/// What can be asked of a manager.
package protocol ManagerCalls: Sendable {
    func agents() async throws(ManagerCallError) -> [AgentStatus]
    func machines() async throws(ManagerCallError) -> MachineInventory

    func createCluster(_ name: String, members: [MemberName]) async throws(ManagerCallError) -> ClusterSummary
    func clusters() async throws(ManagerCallError) -> [ClusterSummary]
    func cluster(_ name: String) async throws(ManagerCallError) -> ClusterSummary
    func deleteCluster(_ name: String) async throws(ManagerCallError)

    /// Returns when the snapshot is sealed. `progress` is called with everything that comes before.
    func createSnapshot(
        of cluster: String, mode: ModeChoice, progress: @escaping @Sendable (SnapshotProgress) -> Void
    ) async throws(ManagerCallError) -> SnapshotSummary
    func snapshots() async throws(ManagerCallError) -> [SnapshotSummary]
    func snapshot(_ id: String) async throws(ManagerCallError) -> SnapshotSummary
    func verifySnapshot(_ id: String) async throws(ManagerCallError) -> SnapshotVerification
    func deleteSnapshot(_ id: String) async throws(ManagerCallError)

    /// Returns when all members run. `progress` is called with everything that comes before.
    func restore(
        _ request: RestoreRequest, progress: @escaping @Sendable (RestoreProgress) -> Void
    ) async throws(ManagerCallError) -> RestoreSummary

    /// What stands in the way of a snapshot, and what does not. May take a minute.
    func diagnose(_ scope: DiagnosisScope) async throws(ManagerCallError) -> [Finding]
}
