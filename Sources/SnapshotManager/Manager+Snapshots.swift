import Logging
import SnapshotProtocol
import SnapshotStore
package import WireProtocol

extension Manager {
    /// Takes a global snapshot. Returns when it is sealed; throws when it was refused or given up, and then nothing of
    /// it is left.
    package func createSnapshot(
        of cluster: String, mode: ModeChoice, progress: @escaping @Sendable (SnapshotProgress) -> Void
    ) async throws(ManagerError) -> SnapshotSummary {
        try await job(of: cluster) { manager, handle throws(ManagerError) in
            try await manager.takeSnapshot(of: cluster, mode: mode, handle: handle, progress: progress)
        }
    }

    private func takeSnapshot(
        of cluster: String, mode choice: ModeChoice, handle: JobHandle,
        progress: @escaping @Sendable (SnapshotProgress) -> Void
    ) async throws(ManagerError) -> SnapshotSummary {
        let members = try await catalog.cluster(cluster).members
        let inventory = await inventory(awaiting: Set(members.compactMap(\.lastHost)), for: handle) {
            progress(.phase("waiting"))
        }
        let planned = try MemberResolution.resolve(members, in: inventory)
        let connected = await registry.connected
        let sessions = connected.filter { host, _ in planned.contains { $0.host == host } }

        let epoch = try await catalog.nextEpoch(of: cluster)
        let now = WallClock.now
        let id = SnapshotName.make(cluster: cluster, epoch: epoch, now: now)
        try await catalog.beginSnapshot(id, cluster: cluster, epoch: epoch, now: now)
        try await catalog.recordHosts(Dictionary(planned.map { ($0.name, $0.host) }, uniquingKeysWith: { a, _ in a }))
        do {
            try await store { repository throws(StoreError) in try repository.begin(id) }
        } catch {
            await end(id, as: .aborted, reason: error.description)
            throw error
        }

        var generator = SystemRandomNumberGenerator()
        let plan = SnapshotPlan(
            snapshot: id, cluster: cluster, epoch: epoch,
            mode: choice.mode(hosts: sessions.count, outlastsHold: outlastsHold.contains(cluster)), members: planned,
            markerKey: (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) },
            holdBudget: limits.holdBudget, colourBudget: limits.colourBudget, flushBound: limits.flushBound)
        let job = SnapshotJob(
            plan: plan, sessions: sessions, repository: repository, createdAt: now, progress: progress,
            logger: logger)
        handle.onCancel { job.cancel() }
        switch await job.run() {
        case .sealed(let evidence, let verdict, let mode):
            await end(id, as: .sealed, reason: nil)
            logger.info("Snapshot sealed", metadata: ["snapshot": "\(id)"])
            return SnapshotSummary(
                id: id, cluster: cluster, epoch: epoch, mode: mode, createdAt: now, sealed: true, members: evidence,
                verdict: verdict)
        case .aborted(let failure):
            if failure.code == .holdExceeded { outlastsHold.insert(cluster) }
            await end(id, as: .aborted, reason: failure.description)
            logger.warning("Snapshot aborted", metadata: ["snapshot": "\(id)", "why": "\(failure)"])
            throw ManagerError(failure)
        }
    }

    /// The repository is what counts; an entry of the catalog that stayed behind is put right at the next start.
    private func end(_ id: String, as state: Catalog.SnapshotState, reason: String?) async {
        do {
            try await catalog.endSnapshot(id, as: state, reason: reason)
        } catch {
            logger.error("The end of an epoch was not recorded", metadata: ["snapshot": "\(id)", "why": "\(error)"])
        }
    }

    /// All sealed snapshots, oldest first. Those whose manifest cannot be read come without members, and with a verdict
    /// that says why.
    package func snapshots() async throws(ManagerError) -> [SnapshotSummary] {
        let listings = try await store { repository throws(StoreError) in try repository.list() }
        return listings.map { listing in
            switch listing.manifest {
            case .success(let manifest): SnapshotSummary(manifest)
            case .failure(let error):
                SnapshotSummary(
                    id: listing.id, cluster: "", epoch: Epoch(0), mode: .hold, createdAt: 0, sealed: true, members: [],
                    verdict: Verdict(consistent: false, logComplete: false, reasons: [error.failure.message]))
            }
        }
    }

    package func snapshot(_ id: String) async throws(ManagerError) -> SnapshotSummary {
        SnapshotSummary(try await manifest(id))
    }

    /// Reads everything that is stored of a snapshot, and judges it anew.
    package func verifySnapshot(_ id: String) async throws(ManagerError) -> SnapshotVerification {
        var summary = SnapshotSummary(try await manifest(id))
        let report = try await store { repository throws(StoreError) in try repository.verify(id) }
        summary.verdict = report.verdict
        return SnapshotVerification(snapshot: summary, problems: report.problems.map(\.description))
    }

    package func deleteSnapshot(_ id: String) async throws(ManagerError) {
        let listings = try await store { repository throws(StoreError) in try repository.list() }
        guard let listing = listings.first(where: { $0.id == id }) else {
            throw ManagerError(.notFound, Self.unknownSnapshot(id))
        }
        // A restore may be reading it. A manifest that cannot be read belongs to no cluster, and nothing restores it.
        let cluster = (try? listing.manifest.get().cluster) ?? id
        try await job(of: cluster) { manager, _ throws(ManagerError) in
            try await manager.store { repository throws(StoreError) in try repository.delete(id) }
            try await manager.catalog.endSnapshot(id, as: .deleted)
        }
    }

    func manifest(_ id: String) async throws(ManagerError) -> SnapshotManifest {
        do {
            return try await store { repository throws(StoreError) in try repository.manifest(id) }
        } catch {
            if error.failures[0].code == .notFound { throw ManagerError(.notFound, Self.unknownSnapshot(id)) }
            throw error
        }
    }

    private static func unknownSnapshot(_ id: String) -> String {
        "There is no snapshot \(id). `holdfast snapshot list` shows those that there are."
    }
}

extension SnapshotSummary {
    /// What is in the repository is sealed.
    init(_ manifest: SnapshotManifest) {
        self.init(
            id: manifest.id, cluster: manifest.cluster, epoch: manifest.epoch, mode: manifest.mode,
            createdAt: manifest.createdAt, sealed: true, members: manifest.members, verdict: manifest.verdict)
    }
}
