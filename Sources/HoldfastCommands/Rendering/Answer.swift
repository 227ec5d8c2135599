import SnapshotProtocol
import WireProtocol

/// Everything that a command can answer.
enum Answer: Sendable {
    case agents([AgentStatus])
    case machines(MachineInventory)
    case clusters([ClusterSummary])
    case cluster(ClusterSummary)
    case clusterDeleted(String)
    case snapshots([SnapshotSummary])
    case snapshot(SnapshotSummary)
    case verification(SnapshotVerification)
    case snapshotDeleted(String)
    case restored(RestoreSummary)
    case diagnosis(Diagnosis)

    /// What must be said beside the answer.
    var warnings: [String] {
        guard case .machines(let inventory) = self else { return [] }
        return inventory.failures.map(\.description.forTerminal)
    }

    /// Of an answer that is bad news.
    var exitCode: FailureCode? {
        switch self {
        case .verification(let verification):
            verification.problems.isEmpty && verification.snapshot.verdict.consistent ? nil : .snapshotDamaged
        case .diagnosis(let diagnosis): diagnosis.exitCode
        default: nil
        }
    }

    func rendered(as format: OutputFormat) -> String {
        switch format {
        case .table: table.forTerminal
        case .json: json
        }
    }

    private var table: String {
        switch self {
        case .agents(let agents): TableRendering.agents(agents)
        case .machines(let inventory): TableRendering.machines(inventory)
        case .clusters(let clusters): TableRendering.clusters(clusters)
        case .cluster(let cluster): TableRendering.cluster(cluster)
        case .clusterDeleted(let name): "The cluster \(name) is forgotten.\n"
        case .snapshots(let snapshots): TableRendering.snapshots(snapshots)
        case .snapshot(let snapshot): TableRendering.snapshot(snapshot)
        case .verification(let verification): TableRendering.verification(verification)
        case .snapshotDeleted(let id): "The snapshot \(id) is deleted.\n"
        case .restored(let summary): TableRendering.restored(summary)
        case .diagnosis(let diagnosis): DiagnosisRendering.text(diagnosis)
        }
    }

    private var json: String {
        switch self {
        case .agents(let agents): JSONRendering.text(["agents": agents.map(AgentDocument.init)])
        case .machines(let inventory): JSONRendering.text(InventoryDocument(inventory))
        case .clusters(let clusters): JSONRendering.text(["clusters": clusters.map(ClusterDocument.init)])
        case .cluster(let cluster): JSONRendering.text(["cluster": ClusterDocument(cluster)])
        case .clusterDeleted(let name): JSONRendering.text(["deleted": ["cluster": name]])
        case .snapshots(let snapshots): JSONRendering.text(["snapshots": snapshots.map(SnapshotDocument.init)])
        case .snapshot(let snapshot): JSONRendering.text(["snapshot": SnapshotDocument(snapshot)])
        case .verification(let verification):
            JSONRendering.text(["verification": VerificationDocument(verification)])
        case .snapshotDeleted(let id): JSONRendering.text(["deleted": ["snapshot": id]])
        case .restored(let summary): JSONRendering.text(["restore": RestoreDocument(summary)])
        case .diagnosis(let diagnosis): JSONRendering.text(["diagnosis": DiagnosisDocument(diagnosis)])
        }
    }
}
