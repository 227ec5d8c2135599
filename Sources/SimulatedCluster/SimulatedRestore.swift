import SnapshotProtocol

/// Restores the listed snapshot with the product's machines, from the recorded cuts and logs, and looks whether every
/// connection goes on.
struct SimulatedRestore {
    private let world: World
    private let plan: RestorePlan
    private var streams: [Stream]
    private var coordinator: RestoreCoordinator
    private var participants: [RestoreParticipant]
    private var commands: [(RestoreCommand, Int)] = []
    private var fenced: [Bool]
    private var loaded: [Bool]
    private var running: [Bool]
    private var restored = false
    private var replays: [UInt8]
    private var abandonedArrived = false

    init(_ world: World) {
        self.world = world
        plan = RestorePlan(
            snapshot: "s1", cluster: "demo",
            members: world.plan.members.map {
                RestoredMember(name: $0.name, host: $0.host, machine: "machine", nics: [], parts: [], requirements: [:])
            }, replaceRunning: true, replayLogs: true)
        streams = world.images
        let hosts = world.hosts.indices.map { Names.host($0) }
        coordinator = RestoreCoordinator(plan: plan, reachable: hosts)
        participants = hosts.map { RestoreParticipant(host: $0) }
        fenced = hosts.map { _ in false }
        loaded = world.members.map { _ in false }
        running = loaded
        replays = world.packets.map { _ in 0 }
    }

    mutating func run() {
        tell(.start)
        var next = 0
        while next < commands.count {
            let (command, host) = commands[next]
            next += 1
            tell(host, .command(command))
        }
        if !restored || running.contains(false) { world.violate(.restore, "the restore does not come to its end") }
        checkReplay()
        checkStreams()
    }

    private mutating func tell(_ event: RestoreCoordinator.Event) {
        for action in coordinator.handle(event, at: Tick(0)) {
            switch action {
            case .send(let command, let host): commands.append((command, Names.number(host)))
            case .finished(.restored): restored = true
            case .enter, .finished: break
            }
        }
    }

    private mutating func tell(_ host: Int, _ event: RestoreParticipant.Event) {
        for action in participants[host].handle(event) { perform(action, on: host) }
    }

    private mutating func perform(_ action: RestoreParticipant.Action, on host: Int) {
        switch action {
        case .fence:
            fenced[host] = world.mutant != .fenceForgotten
            tell(host, .fenced)
        case .load(let member):
            loaded[Names.number(member.name)] = true
            abandonedTimelineSends(to: Names.number(member.name))
            tell(host, .memberLoaded(member.name))
        case .replay(let member):
            let number = Names.number(member.name)
            var count = replay(to: number)
            if world.mutant == .logReplayedTwice { count += replay(to: number) }
            tell(host, .memberReplayed(member.name, segments: count))
        case .open:
            fenced[host] = false
            tell(host, .opened)
        case .start(let name):
            running[Names.number(name)] = true
            tell(host, .memberStarted(name))
        case .discard(let name): tell(host, .memberDiscarded(name))
        case .liftFence: tell(host, .fenceLifted)
        case .report(let report): tell(.report(report, from: Names.host(host)))
        case .commit, .end: break
        }
    }

    /// What the stopped originals had in flight arrives while the images are loaded.
    private mutating func abandonedTimelineSends(to member: Int) {
        guard !fenced[world.members[member].host] else { return }
        for sender in world.members.indices where sender != member {
            let pair = sender * world.memberCount + member
            if world.streams[pair].written > world.images[pair].written { abandonedArrived = true }
        }
    }

    private mutating func replay(to member: Int) -> UInt64 {
        guard world.mutant != .replayForgotten else { return 0 }
        var log = world.members[member].lateLog
        var held: [Int32] = []
        for sender in world.members.indices {
            for index in world.members[sender].heldLog where Int(world.packets[Int(index)].to) == member {
                held.append(index)
            }
        }
        log = world.mutant == .logReplayedOutOfOrder ? held.reversed() + log : log + held
        var previous = [Int32](repeating: -1, count: world.memberCount)
        for index in log {
            let packet = world.packets[Int(index)]
            let from = Int(packet.from)
            if world.scenario.fifo, packet.copies == 1, index < previous[from] {
                world.violate(.restore, "\(world.describe(index)) is replayed after a later one of its channel")
            }
            previous[from] = index
            replays[Int(index)] += 1
            switch packet.kind {
            case .data: _ = streams[from * world.memberCount + member].receive(packet.number)
            case .ack: streams[member * world.memberCount + from].acknowledge(packet.number)
            default: break
            }
        }
        return UInt64(log.count)
    }

    private func checkReplay() {
        if abandonedArrived { world.violate(.restore, "a segment of the abandoned timeline reaches a restored guest") }
        for index in replays.indices where replays[index] > world.packets[index].copies {
            world.violate(.restore, "\(world.describe(Int32(index))) reaches its receiver \(replays[index]) times")
        }
    }

    private func checkStreams() {
        let lossless = world.packets.allSatisfy { $0.lost == 0 }
        for pair in streams.indices {
            let stream = streams[pair]
            let name = "m\(pair / world.memberCount)>m\(pair % world.memberCount)"
            let received = Int(stream.next) + UInt64.bitWidth - stream.ahead.leadingZeroBitCount
            if received > Int(stream.written) {
                world.violate(.restore, "\(name): the receiver has what its sender will send anew; the connection dies")
            } else if stream.acknowledged > stream.next {
                world.violate(.restore, "\(name): the sender has forgotten what its receiver lacks; it stalls for good")
            } else if lossless, world.scenario.fifo, world.verdict?.logComplete == true, stream.next < stream.written {
                world.violate(.restore, "\(name): goes on only after a retransmission, though the log is complete")
            }
        }
    }
}
