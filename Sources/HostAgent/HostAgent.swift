import Hypervisor
import Logging
import PacketGate
import ServiceLifecycle
import SnapshotProtocol
import WireProtocol

/// The daemon on a desktop: keeps a session with the manager and performs what it is told, for as long as it lives.
///
/// What it holds or pauses it lets go by itself: when the session ends, when it is told to stop, and, after it was
/// killed, when it starts again.
package actor HostAgent: Service {
    private let services: DesktopServices
    private let identity: AgentIdentity
    private var outgoing: AsyncStream<AgentMessage>.Continuation?
    private var epochs: [String: (epoch: Epoch, runner: EpochRunner, task: Task<Void, Never>)] = [:]
    private var restores: [UInt64: (runner: RestoreRunner, task: Task<Void, Never>)] = [:]
    private var pathTests: [UInt64: (runner: PathTestRunner, task: Task<Void, Never>)] = [:]
    private let trials = TrialRoom()
    private let recovery: DesktopRecovery
    /// What the manager was told last.
    private var offers: [String: String] = [:]
    /// How long a hypervisor may take to say what it has: less than the manager waits for all of them.
    private static let patience = Duration.seconds(12)
    /// How long the manager is left without this agent for the sake of the recovery. A hypervisor that stays away
    /// longer shall be known by its name, not by an agent that is missing.
    private static let recoveryPatience = Duration.seconds(20)

    package static let version = HoldfastVersion.current

    package init(services: DesktopServices, identity: AgentIdentity) {
        self.services = services
        self.identity = identity
        recovery = DesktopRecovery(
            configuration: services.configuration, hypervisor: services.hypervisor, logger: services.logger)
    }

    package func run() async throws {
        let session = ManagerSession(identity: identity, logger: services.logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [recovery] in await cancelWhenGracefulShutdown { await recovery.run() } }
            group.addTask { [recovery] in
                await cancelWhenGracefulShutdown {
                    await recovery.wait(atMost: Self.recoveryPatience)
                    try? await session.run(
                        hello: { await self.hello() }, handle: { event in await self.handle(event) })
                }
            }
            try await group.waitForAll()
        }
        await letGo()
        services.gate.shutDown()
        services.logger.info("agent ended")
    }

    private func hello() async -> AgentHello {
        hello(await DesktopSight.of(services.hypervisor, within: Self.patience))
    }

    private func hello(_ sight: DesktopSight) -> AgentHello {
        offers = sight.offers
        return AgentHello(
            host: services.host, version: Self.version, hypervisors: sight.parts.map(\.driver.name),
            offers: sight.offers)
    }

    // MARK: Session

    private func handle(_ event: ManagerSession.Event) {
        switch event {
        case .opened(let continuation):
            outgoing = continuation
            services.logger.info("session open", metadata: ["manager": "\(identity.gateway)"])
        case .received(let message): received(message)
        case .closed(let failure):
            outgoing = nil
            services.logger.warning("no session", metadata: ["why": "\(failure.message)"])
            abandonAll()
        }
    }

    private func abandonAll() {
        for entry in epochs.values { entry.runner.feed(.managerLost) }
        for entry in restores.values { entry.runner.feed(.managerLost) }
        for entry in pathTests.values { entry.runner.feed(.managerLost) }
    }

    private func send(_ message: AgentMessage) { outgoing?.yield(message) }

    private func received(_ message: ManagerMessage) {
        switch message {
        case .listMachines(let request):
            Task { await listMachines(request) }
        case .snapshot(let cluster, let epoch, let command): snapshot(cluster, epoch, command)
        case .restore(let id, let command): restore(id, command)
        case .examine(let request, let machines): Task { await examine(request, machines) }
        case .tellTime(let request): send(.time(request: request, WallClock.now()))
        case .pathTest(let id, let command): pathTest(id, command)
        }
    }

    private func listMachines(_ request: UInt64) async {
        let sight = await DesktopSight.of(services.hypervisor, within: Self.patience)
        // The manager places VMs by it, and a hypervisor may have come, gone, or been replaced.
        if sight.offers != offers { send(.hello(hello(sight))) }
        if let error = sight.blindness {
            return send(.machines(request: request, .failure(error.failure(of: nil))))
        }
        let machines = sight.machines.filter { services.configuration.allows($0.name) }
        let summaries = machines.map { Machines.summary(of: $0, hypervisor: $0.driver) }
        send(.machines(request: request, .success(summaries)))
    }

    // MARK: Diagnosis

    private func examine(_ request: UInt64, _ machines: [String]) async {
        let examination = DesktopExamination(
            configuration: services.configuration, hypervisor: services.hypervisor, gate: services.gate,
            trials: recovery.isDone ? .room(trials) : .none(why: "the agent still puts right what a killed one left"),
            logger: services.logger)
        let findings = await examination.findings(about: machines)
        send(.examination(request: request, .success(findings)))
    }

    private func pathTest(_ id: UInt64, _ command: PathTestCommand) {
        if case .arm = command, pathTests[id] == nil, let outgoing {
            let runner = PathTestRunner(services: services, id: id) { outgoing.yield($0) }
            let task = Task {
                await runner.run(in: trials)
                self.endedPathTest(id)
            }
            pathTests[id] = (runner, task)
        }
        if let entry = pathTests[id] {
            entry.runner.feed(.command(command))
        } else {
            send(.pathTest(id: id, .ended([])))
        }
    }

    private func endedPathTest(_ id: UInt64) { pathTests[id] = nil }

    // MARK: Epochs and restores

    /// What is said to a job that comes before the recovery is through: both would work on the same VMs.
    private var unrecovered: Failure? {
        guard !recovery.isDone else { return nil }
        let text =
            "\(services.host) is still putting right what an agent that was killed left. See whether its hypervisor "
            + "runs, and try again in a moment."
        return Failure(.busy, text)
    }

    private func snapshot(_ cluster: String, _ epoch: Epoch, _ command: SnapshotCommand) {
        if case .prepare(let plan) = command {
            if let unrecovered {
                send(.snapshot(cluster: cluster, epoch: epoch, .failed(unrecovered)))
                send(.snapshot(cluster: cluster, epoch: epoch, .aborted))
                return
            }
            guard epochs[cluster] == nil else {
                let text = "\(services.host) is still busy with the last epoch of \(cluster). Try again in a moment."
                send(.snapshot(cluster: cluster, epoch: epoch, .failed(Failure(.busy, text))))
                send(.snapshot(cluster: cluster, epoch: epoch, .aborted))
                return
            }
            guard let outgoing else { return }
            let runner = EpochRunner(services: services, cluster: cluster, epoch: epoch) { outgoing.yield($0) }
            let task = Task {
                await trials.job { await runner.run() }
                self.ended(cluster, epoch)
            }
            epochs[cluster] = (epoch, runner, task)
            runner.begin(with: plan)
            return
        }
        if let entry = epochs[cluster], entry.epoch == epoch {
            entry.runner.feed(.command(command))
        } else if case .abort = command {
            send(.snapshot(cluster: cluster, epoch: epoch, .aborted))
        }
    }

    private func ended(_ cluster: String, _ epoch: Epoch) {
        if epochs[cluster]?.epoch == epoch { epochs[cluster] = nil }
    }

    private func restore(_ id: UInt64, _ command: RestoreCommand) {
        if case .fence = command, let unrecovered {
            send(.restore(id: id, .failed(unrecovered)))
            return
        }
        if case .fence = command, restores[id] == nil, let outgoing {
            let runner = RestoreRunner(
                configuration: services.configuration, gate: services.gate, hypervisor: services.hypervisor,
                logger: services.logger, id: id
            ) { outgoing.yield($0) }
            let task = Task {
                await trials.job { await runner.run() }
                self.endedRestore(id)
            }
            restores[id] = (runner, task)
        }
        if let entry = restores[id] {
            entry.runner.feed(.command(command))
        } else if case .discard = command {
            send(.restore(id: id, .discarded))
        }
    }

    private func endedRestore(_ id: UInt64) { restores[id] = nil }

    /// Ends everything that is under way; returns when all guests run and all gates are open.
    private func letGo() async {
        abandonAll()
        for entry in Array(epochs.values) { await entry.task.value }
        for entry in Array(restores.values) { await entry.task.value }
        for entry in Array(pathTests.values) { await entry.task.value }
    }
}
