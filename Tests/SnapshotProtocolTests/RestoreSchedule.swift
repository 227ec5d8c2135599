import SnapshotProtocol

/// One random course of a restore, wholly determined by its seed.
struct RestoreSchedule {
    let seed: UInt64
    let undisturbed: Bool
    private(set) var cluster: RestoreCluster
    private(set) var unfinished = false

    private var random: SeededGenerator
    private var sent: [(RestoreReport, HostName)] = []
    private var managerMustNotice: Set<HostName> = []
    private var hostMustNotice: Set<HostName> = []
    private var started = false

    private enum Move {
        case start
        case deliver(HostName)
        case collect(HostName)
        case perform(HostName, Int)
        case managerNotices(HostName)
        case hostNotices(HostName)
    }

    static func run(seed: UInt64) -> RestoreSchedule {
        var schedule = RestoreSchedule(seed: seed)
        schedule.run()
        return schedule
    }

    private init(seed: UInt64) {
        self.seed = seed
        var random = SeededGenerator(seed: seed)
        undisturbed = random.chance(30)
        let hosts = Int.random(in: 1...3, using: &random)
        let places = (0..<Int.random(in: 1...4, using: &random)).map {
            "m\($0)@d\(Int.random(in: 1...hosts, using: &random))"
        }
        let bystanders = random.chance(50) ? [HostName("d9")] : []
        let plan = RestoreCluster.plan(places, replaceRunning: random.chance(60), replayLogs: random.chance(80))
        cluster = RestoreCluster(plan: plan, bystanders: bystanders)
        if !undisturbed {
            for host in cluster.hosts where random.chance(10) {
                cluster.originals[host] = [Failure(.originalsRunning, "Originals run on \(host).")]
            }
            for member in plan.members.map(\.name) where random.chance(5) {
                cluster.unloadable[member] = Failure(.snapshotDamaged, member: member, "The image is damaged.")
            }
        }
        self.random = random
    }

    private mutating func run() {
        var waits = 0
        for _ in 0..<3_000 {
            if !undisturbed, random.chance(4) { disturb() }
            let moves = possibleMoves()
            if let move = moves.randomElement(using: &random) {
                make(move)
            } else if waits < 4 {
                waits += 1
                cluster.tick(3_600_000)
            } else {
                return
            }
        }
        unfinished = true
    }

    private func possibleMoves() -> [Move] {
        var moves: [Move] = started ? [] : [.start]
        for host in cluster.hosts {
            if cluster.commands[host]?.isEmpty == false { moves.append(.deliver(host)) }
            if cluster.managerAlive, cluster.reports[host]?.isEmpty == false { moves.append(.collect(host)) }
            moves += cluster.ready(on: host).map { .perform(host, $0) }
        }
        moves += managerMustNotice.sorted().map { .managerNotices($0) }
        moves += hostMustNotice.sorted().map { .hostNotices($0) }
        return moves
    }

    private mutating func make(_ move: Move) {
        switch move {
        case .start:
            started = true
            cluster.tell(.start)
        case .deliver(let host): cluster.deliverCommand(to: host)
        case .collect(let host):
            if let report = cluster.reports[host]?.first { sent.append((report, host)) }
            cluster.collectReport(from: host, again: !undisturbed && random.chance(10))
        case .perform(let host, let index): cluster.perform(index, on: host)
        case .managerNotices(let host):
            managerMustNotice.remove(host)
            cluster.tell(.hostLost(host))
        case .hostNotices(let host):
            hostMustNotice.remove(host)
            cluster.tell(host, .managerLost)
        }
    }

    private mutating func disturb() {
        let host = cluster.hosts.randomElement(using: &random)!
        switch Int.random(in: 0..<20, using: &random) {
        case 0: cluster.tell(host, .failed(Failure(.internalError, "The disk is full.")))
        case 1:
            cluster.sever(host)
            managerMustNotice.insert(host)
            hostMustNotice.insert(host)
        case 2:
            cluster.killManager()
            hostMustNotice.formUnion(cluster.hosts)
        case 3: cluster.tell(.cancel)
        case 4: cluster.tick(UInt64.random(in: 1...40_000, using: &random))
        default:
            if let (report, host) = sent.randomElement(using: &random) { cluster.tell(.report(report, from: host)) }
        }
    }
}
