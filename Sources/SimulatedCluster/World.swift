import SnapshotProtocol

/// A cluster in virtual time, in nanoseconds: guests that talk, gates that hold, agents and a manager that run the very
/// machines of the product. One scenario, one history.
final class World {
    let scenario: Scenario
    let mutant: Mutant?
    let plan: SnapshotPlan
    let memberCount: Int
    var random: SimulationRandom
    var queue = EventQueue()
    var now: UInt64 = 0
    /// Grows with everything that the checker must be able to put in order.
    var step: UInt32 = 0
    var members: [MemberState]
    var hosts: [HostState]
    /// Connection from `s` to `r` at `s * memberCount + r`.
    var streams: [Stream]
    /// As they were at the cut: the sender's half from the sender's image, the receiver's half from the receiver's.
    var images: [Stream]
    var timerRuns: [Bool]
    var attempts: [UInt8]
    var lastArrival: [UInt64]
    /// Paths that take the colour off: before one instant, and from another on.
    var bleachedUntil: [UInt64]
    var bleachedFrom: [UInt64]
    /// Step at which the first marker of the sender's cut came; 0 before it.
    var drained: [UInt32]
    /// The marker of the sender's cut came with its colour when its receiver had been cut.
    var proven: [Bool]
    /// The member that is slow to be cut, if nothing else goes wrong.
    let slowMember: Int?
    var packets: [Packet] = []

    var coordinator: SnapshotCoordinator
    var deadlines = SnapshotCoordinator.Deadlines()
    /// Whether the manager's process runs, and whether it is the one that began the epoch.
    var managerUp = true
    var jobAlive = true
    var managerFrozenUntil: UInt64 = 0
    /// The manager's open session with each host, and those on which the epoch's job listens; 0 for none.
    var registered: [UInt16]
    var jobSessions: [UInt16]
    var outcome: SnapshotCoordinator.Outcome?
    var manifestListed = false
    var manifestFails = false
    /// The epoch's folder is gone from the repository.
    var discarded = false
    var verdict: Verdict?
    /// The mode in effect, as the manager knows it, and as the manifest has it.
    var mode: SnapshotMode
    var sealedMode: SnapshotMode?
    /// Channels whose marker is missing by the evidence that was sealed.
    var unproven: [Bool]
    var commands: [SnapshotCommand] = []
    /// With the epoch that they are about.
    var reports: [(report: SnapshotReport, epoch: Epoch)] = []
    /// Reports kept back by the mutant that lets hosts release early.
    var early: [(SnapshotReport, Int)] = []
    var releasedEarly: [Bool]

    var restoring: RestoreState

    var violations: [Violation] = []
    private(set) var trace: [String] = []
    let tracing: Bool

    init(_ scenario: Scenario, mutant: Mutant?, tracing: Bool = false) {
        self.scenario = scenario
        self.mutant = mutant
        self.tracing = tracing
        memberCount = scenario.placement.count
        random = SimulationRandom(seed: scenario.seed ^ 0x5DEE_CE66_D1CE_CAFE)
        members = scenario.placement.map { MemberState(host: $0) }
        hosts = []
        for host in 0..<scenario.hostCount {
            let origin = 1_000_000_000_000 + random.span(0, 9_000_000)
            var state = HostState(drift: scenario.drift[host], clockOrigin: origin)
            state.participant = SnapshotParticipant(host: Names.host(host))
            hosts.append(state)
        }
        for fault in scenario.faults where fault.kind == .staleMarkers {
            hosts[fault.target].pathDelay = min(fault.duration, 30_000_000)
        }
        for fault in scenario.faults where fault.kind == .staleColour {
            hosts[fault.target].pathDelay = min(fault.duration, 8_000_000)
        }
        slowMember = scenario.slowMember
        mode = scenario.mode
        let pairs = memberCount * memberCount
        streams = Array(repeating: Stream(), count: pairs)
        images = streams
        timerRuns = Array(repeating: false, count: pairs)
        attempts = Array(repeating: 0, count: pairs)
        lastArrival = Array(repeating: 0, count: pairs)
        bleachedUntil = lastArrival
        bleachedFrom = Array(repeating: .max, count: pairs)
        drained = Array(repeating: 0, count: pairs)
        unproven = timerRuns
        proven = timerRuns
        registered = Array(repeating: 1, count: scenario.hostCount)
        jobSessions = registered
        restoring = RestoreState(hostCount: scenario.hostCount)
        releasedEarly = Array(repeating: false, count: scenario.hostCount)
        plan = Names.plan(scenario)
        deadlines.prepare = 200
        deadlines.afterHoldBudget = 50
        deadlines.save = 400
        deadlines.finish = 100
        deadlines.abort = 100
        coordinator = SnapshotCoordinator(plan: plan, deadlines: deadlines)
        packets.reserveCapacity(256)
        for fault in scenario.faults where fault.kind.isBleaching { bleach(fault) }
    }

    /// Runs until nothing is left to happen.
    func run() {
        queue.push(.start, at: Scenario.epochStart)
        for write in scenario.writes {
            queue.push(
                write.datagram ? .datagram(from: write.from, to: write.to) : .write(from: write.from, to: write.to),
                at: write.time)
        }
        for index in scenario.faults.indices { queue.push(.fault(UInt8(index)), at: scenario.faults[index].time) }
        drain()
    }

    func drain() {
        while let event = queue.pop() {
            now = event.time
            if let agent = event.what.agent {
                guard hosts[agent].agentAlive else { continue }
                if hosts[agent].frozenUntil > now {
                    queue.push(event.what, at: hosts[agent].frozenUntil)
                    continue
                }
            } else if event.what.isManagers {
                guard managerUp else { continue }
                if managerFrozenUntil > now {
                    queue.push(event.what, at: managerFrozenUntil)
                    continue
                }
            }
            handle(event.what)
        }
    }

    private func handle(_ what: Happening) {
        switch what {
        case .start: tellManager(.start)
        case .write(let from, let to): write(Int(from), Int(to), what)
        case .datagram(let from, let to): sendDatagram(Int(from), Int(to), what)
        case .retransmit(let from, let to, let una): retransmit(Int(from), Int(to), una, what)
        case .arrive(let packet, _): arrive(what, at: members[Int(packets[Int(packet)].to)].host)
        case .marker(_, let to, _, _, _): arrive(what, at: members[Int(to)].host)
        case .ingressTurn(let host): takeBacklog(Int(host))
        case .egressTurn(_, let member): letGo(Int(member))
        case .command(let host, let message, let session): receive(commands[Int(message)], on: Int(host), session)
        case .report(let host, let message, let session): collect(Int(message), from: Int(host), session)
        case .work(let host, let work, let member, let generation):
            complete(work, on: Int(host), member: Int(member), generation: generation)
        case .hostTick(let host, let number): tick(Int(host), number)
        case .managerTick: tellManager(.tick)
        case .watchdog(let host, let generation): watchdog(Int(host), generation)
        case .manifest: writeManifest()
        case .managerNotices(let host, let session): closeAtManager(Int(host), session)
        case .hostNotices(let host, let session): closeAtAgent(Int(host), session)
        case .dial(let host): dial(Int(host))
        case .hello(let host, let session): welcome(Int(host), session)
        case .guestResumes(let member): resume(Int(member))
        case .restoreCommand(let host, let message, let session):
            receiveRestore(Int(message), on: Int(host), session)
        case .restoreReport(let host, let message, let session):
            collectRestore(Int(message), from: Int(host), session)
        case .restoreWork(let host, let work, let member, let generation):
            complete(work, on: Int(host), member: Int(member), generation: generation)
        case .restoreTick: tellRestore(.tick)
        case .restoreFault(let index): strikeRestore(scenario.restoreFaults[Int(index)])
        case .abandonedSend(let from, let to): sendAbandoned(Int(from), Int(to))
        case .abandonedArrive(let to): arriveAbandoned(Int(to))
        case .fault(let index): strike(scenario.faults[Int(index)])
        case .agentRestarts(let host): restartAgent(Int(host))
        case .managerRestarts: restartManager()
        }
    }

    func nextStep() -> UInt32 {
        step += 1
        return step
    }

    func note(_ text: @autoclosure () -> String) {
        if tracing { trace.append("\(Instant(now))  \(text())") }
    }

    func violate(_ invariant: Violation.Invariant, _ text: @autoclosure () -> String) {
        // One is enough to fail, and a broken history breaks many promises.
        guard violations.count < 8 else { return }
        violations.append(Violation(invariant: invariant, text: text()))
    }
}
