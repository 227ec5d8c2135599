import SnapshotProtocol

/// One random course of an epoch, wholly determined by its seed: which message arrives next, what is lost or repeated,
/// who dies, how time passes.
struct SnapshotSchedule {
    let seed: UInt64
    /// Packets of a channel arrive in the order in which they were sent.
    let ordered: Bool
    /// Nothing fails, is lost, repeated or cancelled, and no deadline passes.
    let undisturbed: Bool
    /// Guests use the bit of the colour themselves, now and then.
    private let guestsUseTheBit: Bool
    private(set) var cluster: SnapshotCluster
    /// Members whose gate attested something with which nothing may be sealed.
    private(set) var tampered: Set<MemberName> = []
    /// The schedule was cut off before everything had come to rest.
    private(set) var unfinished = false

    private var random: SeededGenerator
    private var sent: [(SnapshotReport, HostName)] = []
    private var managerMustNotice: Set<HostName> = []
    private var hostMustNotice: Set<HostName> = []
    private var started = false
    private var segmentsLeft = 60

    private enum Move {
        case start
        case deliver(HostName)
        case collect(HostName)
        case perform(HostName, Int)
        case packet(Channel)
        case emit
        case manifest
        case managerNotices(HostName)
        case hostNotices(HostName)
    }

    static func run(seed: UInt64) -> SnapshotSchedule {
        var schedule = SnapshotSchedule(seed: seed)
        schedule.run()
        return schedule
    }

    private init(seed: UInt64) {
        self.seed = seed
        var random = SeededGenerator(seed: seed)
        ordered = random.chance(60)
        undisturbed = random.chance(30)
        guestsUseTheBit = random.chance(30)
        let hosts = Int.random(in: 1...3, using: &random)
        let places = (0..<Int.random(in: 1...5, using: &random)).map {
            "m\($0)@d\(Int.random(in: 1...hosts, using: &random))"
        }
        cluster = SnapshotCluster(plan: SnapshotCluster.plan(places, mode: random.chance(50) ? .colour : .hold))
        self.random = random
        if !undisturbed { prepareTrouble() }
    }

    private mutating func prepareTrouble() {
        for member in cluster.plan.members.map(\.name) {
            if random.chance(2) {
                cluster.refusals[member] = Failure(.machineNotRunning, member: member, "It is off.")
            }
            if random.chance(2) { cluster.forgotten.insert(member) }
            if random.chance(4) {
                cluster.attestations[member] = brokenAttestation(of: member)
                tampered.insert(member)
            }
        }
        for receiver in cluster.hosts {
            for channel in cluster.plan.channels(into: receiver).sorted() where random.chance(5) {
                cluster.deafChannels.insert(channel)
            }
            for channel in cluster.plan.channels(into: receiver).sorted() where random.chance(2) {
                cluster.traffic.bleaching.insert(channel)
            }
        }
    }

    private mutating func brokenAttestation(of member: MemberName) -> GateAttestation {
        var gate = GateAttestation(member: member, releasedAt: .max)
        switch Int.random(in: 0..<7, using: &random) {
        case 0: gate.unbroken = false
        case 1: gate.watchdogFired = true
        case 2: gate.overflowed = 1
        case 3: gate.foreignChanges = 1
        case 4: gate.heldBeforeCut = gate.held + 1
        case 5: gate.releasedAt = 0
        default: gate.member = MemberName("somebody else")
        }
        return gate
    }

    private mutating func run() {
        var waits = 0
        for _ in 0..<4_000 {
            if !undisturbed, random.chance(3) { disturb() }
            let moves = possibleMoves()
            if let move = moves.randomElement(using: &random) {
                make(move)
            } else if waits < 24 {
                waits += 1
                // First the repetition of markers, then their bound, then every deadline that there is.
                cluster.tick(waits < 18 ? 25 : waits < 20 ? 250 : 3_600_000)
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
        moves += cluster.traffic.busyChannels.map { .packet($0) }
        if segmentsLeft > 0, cluster.plan.members.count > 1 { moves.append(.emit) }
        if cluster.managerAlive, cluster.manifestPending { moves.append(.manifest) }
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
        case .packet(let channel):
            let count = cluster.traffic.inFlight[channel]?.count ?? 1
            let index = ordered ? 0 : Int.random(in: 0..<count, using: &random)
            if !undisturbed, random.chance(2) {
                cluster.traffic.lose(on: channel, at: index)
            } else {
                cluster.deliverPacket(on: channel, at: index)
            }
        case .emit:
            segmentsLeft -= 1
            let ends = cluster.plan.members.map(\.name).shuffled(using: &random)
            cluster.traffic.emit(
                on: Channel(sender: ends[0], receiver: ends[1]), bit: guestsUseTheBit && random.chance(30))
        case .manifest:
            let fails = !undisturbed && random.chance(20)
            cluster.tell(fails ? .manifestFailed(Failure(.repositoryNotWritable, "It is full.")) : .manifestWritten)
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
        switch Int.random(in: 0..<40, using: &random) {
        case 0: cluster.tell(host, .failed(Failure(.gateBroken, "The watchdog opened the gate.")))
        case 1: cluster.tell(host, .failed(Failure(.internalError, "The disk is full.")))
        case 2:
            cluster.sever(host)
            managerMustNotice.insert(host)
            hostMustNotice.insert(host)
        case 3:
            cluster.kill(host)
            managerMustNotice.insert(host)
        case 4:
            cluster.killManager()
            hostMustNotice.formUnion(cluster.hosts)
        case 5: cluster.tell(.cancel)
        case 6:
            if let channel = cluster.traffic.busyChannels.randomElement(using: &random) {
                cluster.traffic.bleaching.insert(channel)
            }
        case 7: cluster.tick(UInt64.random(in: 1...5_000, using: &random))
        default:
            // A report that has come already comes once more, late.
            if let (report, host) = sent.randomElement(using: &random) { cluster.tell(.report(report, from: host)) }
        }
    }
}
