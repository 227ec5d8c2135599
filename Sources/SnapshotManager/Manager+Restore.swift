import Logging
import SnapshotProtocol
import SnapshotStore
package import WireProtocol

extension Manager {
    /// Restores a snapshot. Returns when all its members run; throws when it was refused or failed, and then none of
    /// them runs from the snapshot.
    package func restore(
        _ request: RestoreRequest, progress: @escaping @Sendable (RestoreProgress) -> Void
    ) async throws(ManagerError) -> RestoreSummary {
        let manifest = try await manifest(request.snapshot)
        return try await job(of: manifest.cluster) { manager, handle throws(ManagerError) in
            try await manager.restore(manifest, request, handle: handle, progress: progress)
        }
    }

    private func restore(
        _ manifest: SnapshotManifest, _ request: RestoreRequest, handle: JobHandle,
        progress: @escaping @Sendable (RestoreProgress) -> Void
    ) async throws(ManagerError) -> RestoreSummary {
        let lastHosts = try await catalog.lastHosts()
        let homes = manifest.members.map { lastHosts[$0.member.name] ?? $0.member.host }
        let inventory = await inventory(
            awaiting: Set(homes).union(request.placements.values).subtracting(request.lostHosts), for: handle
        ) {
            progress(.phase("waiting"))
        }
        let sessions = await registry.connected
        let placement = RestorePlacement(
            request: request, cluster: manifest.cluster, members: manifest.members,
            offers: sessions.mapValues(\.offers),
            inventory: inventory, lastHosts: lastHosts)
        let plan = try placement.plan()
        // After the cheap refusals and before anything is touched.
        if request.verify { try await check(manifest.id, progress: progress) }
        guard !handle.isCancelled else { throw ManagerError(.cancelled, "The restore was cancelled.") }

        let job = RestoreJob(
            id: UInt64.random(in: 1 ... .max), plan: plan, sessions: sessions, progress: progress, logger: logger)
        handle.onCancel { job.cancel() }
        let (outcome, duration) = await job.run()
        switch outcome {
        case .restored(let replayed):
            let hosts = Dictionary(plan.members.map { ($0.name, $0.host) }, uniquingKeysWith: { a, _ in a })
            try await catalog.recordHosts(hosts)
            logger.info("Snapshot restored", metadata: ["snapshot": "\(manifest.id)"])
            return RestoreSummary(snapshot: manifest.id, members: hosts, duration: duration, replayed: replayed)
        case .refused(let failures):
            throw failures.isEmpty
                ? ManagerError(.aborted, "A host refused the restore without a reason.") : ManagerError(failures)
        case .failed(let failure):
            logger.warning("Restore failed", metadata: ["snapshot": "\(manifest.id)", "why": "\(failure)"])
            throw ManagerError(failure)
        }
    }

    private func check(
        _ id: String, progress: @escaping @Sendable (RestoreProgress) -> Void
    ) async throws(ManagerError) {
        progress(.phase("verifying"))
        let report = try await store { repository throws(StoreError) in try repository.verify(id) }
        guard report.isWhole else {
            throw ManagerError(
                report.problems.map { problem in
                    Failure(
                        .snapshotDamaged, member: problem.member,
                        "\(problem) Restore another snapshot; nothing has been touched.")
                })
        }
    }
}
