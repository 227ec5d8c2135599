package import Logging
package import SnapshotProtocol
package import SnapshotStore
package import WireProtocol

/// The manager's logic: what its services ask for and its jobs perform.
package actor Manager {
    package struct Limits: Sendable, Hashable {
        /// Milliseconds, all of them: see `ManagerConfiguration`.
        package var holdBudget: UInt64
        package var colourBudget: UInt64
        package var flushBound: UInt64
        package var inventoryBound: UInt64
        package var reconnectBound: UInt64

        package init(
            holdBudget: UInt64 = ManagerConfiguration.defaultHoldBudget,
            colourBudget: UInt64 = ManagerConfiguration.defaultColourBudget,
            flushBound: UInt64 = ManagerConfiguration.defaultFlushBound,
            inventoryBound: UInt64 = ManagerConfiguration.defaultInventoryBound,
            reconnectBound: UInt64 = ManagerConfiguration.defaultReconnectBound
        ) {
            self.holdBudget = holdBudget
            self.colourBudget = colourBudget
            self.flushBound = flushBound
            self.inventoryBound = inventoryBound
            self.reconnectBound = reconnectBound
        }
    }

    package nonisolated let registry = AgentRegistry()
    let catalog: Catalog
    let repository: DirectoryRepository
    let limits: Limits
    let logger: Logger

    /// The job of each cluster that has one: there is never a second.
    fileprivate var jobs: [String: JobHandle] = [:]
    /// How many jobs each cluster has had, since the manager started.
    private var jobsBegun: [String: Int] = [:]
    /// The path test of each cluster that has one.
    private var pathTests: [String: (job: PathTestJob, task: Task<PathTestCoordinator.Outcome, Never>)] = [:]
    /// Clusters whose last epoch in hold mode was given up because a gate would have held for too long.
    var outlastsHold: Set<String> = []
    private var stopping = false
    private var idle: [CheckedContinuation<Void, Never>] = []

    package init(catalog: Catalog, repository: DirectoryRepository, limits: Limits, logger: Logger) {
        self.catalog = catalog
        self.repository = repository
        self.limits = limits
        self.logger = logger
    }

    // MARK: Life

    /// Clears away what a manager that was killed left unfinished. To be called once, before any agent is let in.
    package func recover() async throws(ManagerError) {
        let removed = try await store { repository throws(StoreError) in try repository.collect(keeping: []) }
        for snapshot in removed {
            logger.notice("Removed a snapshot that was never sealed", metadata: ["snapshot": "\(snapshot)"])
        }
        for id in try await catalog.snapshots(in: .taking) {
            // The manifest decides, not the catalog: it may have been written just before the end.
            let sealed = try await isSealed(id)
            try await catalog.endSnapshot(
                id, as: sealed ? .sealed : .aborted, reason: sealed ? nil : "The manager ended in the middle of it.")
        }
    }

    /// Gives up every job, waits until each has undone what it did, and closes the sessions.
    package func stop() async {
        stopping = true
        for job in jobs.values { job.cancel() }
        for cluster in Array(pathTests.keys) { await endPathTest(of: cluster) }
        if !jobs.isEmpty {
            await withCheckedContinuation { idle.append($0) }
        }
        await registry.stop()
    }

    /// Runs `body` as the only job of `cluster`. When the caller is cancelled so is the job; the call still returns
    /// only when the job has ended.
    func job<Value: Sendable>(
        of cluster: String,
        _ body: @escaping @Sendable (isolated Manager, JobHandle) async throws(ManagerError) -> Value
    ) async throws(ManagerError) -> Value {
        guard !stopping else {
            throw ManagerError(.hostUnavailable, "The manager stops. Try again when it runs again.")
        }
        guard jobs[cluster] == nil else {
            throw ManagerError(
                .busy, "Another job on the cluster \(cluster) is under way. Try again when it has ended.")
        }
        let handle = JobHandle()
        jobs[cluster] = handle
        jobsBegun[cluster, default: 0] += 1
        let task = Task { () -> Result<Value, ManagerError> in
            await endPathTest(of: cluster)
            do throws(ManagerError) {
                return .success(try await body(self, handle))
            } catch {
                return .failure(error)
            }
        }
        let result = await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            handle.cancel()
        }
        jobs[cluster] = nil
        if jobs.isEmpty {
            for waiter in idle { waiter.resume() }
            idle = []
        }
        return try result.get()
    }

    /// Whether no job of a cluster was under way between two calls, of which the first gets nil and the second what the
    /// first gave.
    func quiet(_ cluster: String, since former: Int? = nil) -> (isQuiet: Bool, mark: Int) {
        let begun = jobsBegun[cluster, default: 0]
        if let former { return (former == begun, begun) }
        // With a job under way, a number that no later call finds.
        return (jobs[cluster] == nil, jobs[cluster] == nil ? begun : -1)
    }

    /// Runs a path test; nil when a job on the cluster or another test of it is under way. A job that comes meanwhile
    /// ends it and goes first.
    func pathTest(_ test: PathTestJob, of cluster: String) async -> PathTestCoordinator.Outcome? {
        guard !stopping, jobs[cluster] == nil, pathTests[cluster] == nil else { return nil }
        let task = Task { await test.run() }
        pathTests[cluster] = (test, task)
        let outcome = await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            test.cancel()
        }
        pathTests[cluster] = nil
        return outcome
    }

    private func endPathTest(of cluster: String) async {
        guard let (test, task) = pathTests[cluster] else { return }
        test.cancel()
        _ = await task.value
    }

    /// Work on the repository, away from the actor's thread.
    func store<Value: Sendable>(
        _ body: @escaping @Sendable (DirectoryRepository) throws(StoreError) -> Value
    ) async throws(ManagerError) -> Value {
        do throws(StoreError) {
            return try await BlockingWork.run { [repository] () throws(StoreError) in try body(repository) }
        } catch {
            throw ManagerError(error.failure)
        }
    }

    private func isSealed(_ id: String) async throws(ManagerError) -> Bool {
        do {
            _ = try await store { repository throws(StoreError) in try repository.manifest(id) }
            return true
        } catch {
            if error.failures[0].code == .notFound { return false }
            // It is there, whatever is wrong with it.
            return true
        }
    }

    // MARK: Agents and VMs

    /// Lets an agent in whose certificate has the serial number of `session`.
    package func admit(_ hello: AgentHello, _ session: AgentSession) async throws(ManagerError) {
        try await catalog.admit(hello, serial: session.serial, now: WallClock.now)
        await registry.attach(session, hello)
        logger.info("Agent connected", metadata: ["host": "\(hello.host)", "version": "\(hello.version)"])
    }

    package func dismiss(_ session: AgentSession) async {
        await registry.detach(session)
        logger.info("Agent disconnected", metadata: ["host": "\(session.host)"])
        do {
            try await catalog.sawLast(session.host, at: WallClock.now)
        } catch {
            logger.error("The end of a session was not recorded", metadata: ["why": "\(error)"])
        }
    }

    package func agents() async throws(ManagerError) -> [AgentStatus] {
        let connected = await registry.connected
        return try await catalog.agents(connected: Set(connected.keys))
    }

    package func machines() async throws(ManagerError) -> MachineInventory {
        let inventory = await registry.inventory(bound: limits.inventoryBound)
        let clusters = try await catalog.memberships()
        return MachineInventory(
            machines: inventory.machines.map { found in
                HostedMachine(
                    host: found.host, machine: found.machine, cluster: clusters[MemberName(found.machine.name)])
            },
            failures: inventory.failures + inventory.outageFailures.map(\.failure))
    }

    // MARK: Clusters

    package func createCluster(_ name: String, members: [MemberName]) async throws(ManagerError) -> ClusterSummary {
        guard EntityName(name) != nil else {
            throw ManagerError(.usage, "\(name) is no name for a cluster: it takes \(EntityName.rule).")
        }
        guard !members.isEmpty else {
            throw ManagerError(.usage, "A cluster needs at least one member: name its VMs with --member.")
        }
        var seen: Set<MemberName> = []
        for member in members where !seen.insert(member).inserted {
            throw ManagerError(Failure(.usage, member: member, "It is named twice; name every member once."))
        }
        for member in members {
            let bytes = member.rawValue.utf8
            guard (1...60).contains(bytes.count), bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else {
                let text = "The name of a member has 1 to 60 bytes and no control characters. Rename the VM."
                throw ManagerError(Failure(.usage, member: member, text))
            }
        }
        try MemberResolution.checkKnown(members, in: await registry.inventory(bound: limits.inventoryBound))
        try await catalog.createCluster(name, members: members, now: WallClock.now)
        return try await catalog.cluster(name)
    }

    package func clusters() async throws(ManagerError) -> [ClusterSummary] { try await catalog.clusters() }

    package func cluster(_ name: String) async throws(ManagerError) -> ClusterSummary {
        try await catalog.cluster(name)
    }

    package func deleteCluster(_ name: String) async throws(ManagerError) {
        try await job(of: name) { manager, _ throws(ManagerError) in try await manager.catalog.deleteCluster(name) }
    }
}

extension Manager {
    /// Whether no cluster has a job.
    package var isIdle: Bool { jobs.isEmpty }
}
