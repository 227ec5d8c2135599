import SnapshotProtocol
import Testing

/// The machines of a path test, each with a world that does what it likes.
@Suite struct PathTestTests {
    private static let hosts = ["d1", "d2", "d3"].map { HostName($0) }

    private static func plan(budget: UInt64 = 7_500) -> PathTestPlan {
        PathTestPlan(
            id: 9, cluster: "web",
            members: ["a", "b", "c", "d"].enumerated().map { index, name in
                PlannedMember(
                    name: MemberName(name), host: hosts[index % hosts.count], machine: "uuid-\(name)",
                    nics: [MemberNIC(mac: "52:54:00:00:00:0\(index)")])
            }, markerKey: [UInt8](repeating: 7, count: 32), budget: budget)
    }

    // MARK: The participant

    @Test func aParticipantArmsProbesAndEnds() {
        var machine = PathTestParticipant(host: Self.hosts[0])
        let plan = Self.plan()
        #expect(machine.handle(.command(.arm(plan)), at: Tick(0)) == [.arm(plan)])
        #expect(machine.handle(.gatesArmed, at: Tick(10)) == [.report(.armed)])
        #expect(machine.handle(.command(.probe), at: Tick(20)) == [.sendProbes])
        let channels = plan.channels.filter { ["a", "d"].contains($0.receiver.rawValue) }
        for channel in channels.dropLast() { #expect(machine.handle(.probeArrived(channel), at: Tick(30)).isEmpty) }
        #expect(machine.handle(.probeArrived(channels[channels.count - 1]), at: Tick(31)) == [.report(.heard)])
        // Others may still wait for ours.
        #expect(machine.handle(.tick, at: Tick(120)) == [.sendProbes])
        #expect(machine.handle(.command(.end), at: Tick(130)) == [.close])
        #expect(machine.handle(.tick, at: Tick(300)).isEmpty)
        let arrivals = [ProbeArrival(channel: channels[0], afterOwn: -3, bleached: false, local: false)]
        #expect(machine.handle(.closed(arrivals), at: Tick(140)) == [.report(.ended(arrivals)), .end])
        #expect(machine.phase == .finished)
    }

    @Test(arguments: [PathTestParticipant.Event.wanted, .managerLost, .failed(Failure(.gateBroken, "It broke."))])
    func whateverEndsItTheGatesAreOpenedAtOnce(event: PathTestParticipant.Event) {
        var machine = PathTestParticipant(host: Self.hosts[0])
        _ = machine.handle(.command(.arm(Self.plan())), at: Tick(0))
        _ = machine.handle(.gatesArmed, at: Tick(1))
        #expect(machine.handle(event, at: Tick(2)).first == .close)
    }

    @Test func itsOwnWatchdogNeedsNobody() {
        var machine = PathTestParticipant(host: Self.hosts[0])
        _ = machine.handle(.command(.arm(Self.plan(budget: 500))), at: Tick(0))
        _ = machine.handle(.gatesArmed, at: Tick(1))
        #expect(machine.handle(.tick, at: Tick(499)).isEmpty)
        let actions = machine.handle(.tick, at: Tick(500))
        #expect(actions.first == .close)
        guard case .report(.failed(let failure)) = actions.last else {
            Issue.record("It says nothing.")
            return
        }
        #expect(failure.code == .deadline)
    }

    @Test func aPlanThatWouldKeepGatesArmedForLongIsRefused() {
        var machine = PathTestParticipant(host: Self.hosts[0])
        let actions = machine.handle(.command(.arm(Self.plan(budget: .max))), at: Tick(0))
        #expect(!actions.contains { if case .arm = $0 { true } else { false } })
        #expect(actions.last == .end)
    }

    /// Whatever happens in whatever order: no probe without armed gates, nothing after the end, and an end.
    @Test func noScheduleLeavesGatesArmed() {
        for seed in Seeds.all {
            var generator = SeededGenerator(seed: seed)
            var machine = PathTestParticipant(host: Self.hosts[Int.random(in: 0..<3, using: &generator)])
            var (isAsked, isArmed, isClosing, now) = (false, false, false, UInt64(0))
            let plan = Self.plan(budget: UInt64.random(in: 0..<2_000, using: &generator))
            for step in 0..<60 {
                now += UInt64.random(in: 0..<80, using: &generator)
                // In the end only time passes, and what was begun is answered.
                let isOver = step > 40
                let event: PathTestParticipant.Event =
                    if isClosing {
                        .closed([])
                    } else if isAsked, !isArmed, generator.chance(30) {
                        .gatesArmed
                    } else if isOver {
                        step > 50 ? .managerLost : .tick
                    } else {
                        [
                            .command(.arm(plan)), .command(.probe), .command(.probe), .tick, .command(.end), .wanted,
                            .probeArrived(plan.channels[Int.random(in: 0..<plan.channels.count, using: &generator)]),
                            .managerLost,
                        ][min(Int.random(in: 0..<8, using: &generator), Int.random(in: 0..<8, using: &generator))]
                    }
                if event == .gatesArmed { isArmed = true }
                let wasFinished = machine.phase == .finished
                for action in machine.handle(event, at: Tick(now)) {
                    #expect(!wasFinished, "seed \(seed)")
                    switch action {
                    case .arm: isAsked = true
                    case .sendProbes: #expect(isArmed && !isClosing, "seed \(seed)")
                    case .close: isClosing = true
                    case .report(.ended): #expect(!isAsked || isClosing, "seed \(seed)")
                    case .report, .end: break
                    }
                }
            }
            #expect(machine.phase == .finished, "seed \(seed)")
        }
    }

    // MARK: The coordinator

    @Test func nobodyProbesBeforeAllHaveArmed() {
        var coordinator = PathTestCoordinator(plan: Self.plan())
        #expect(coordinator.handle(.start, at: Tick(0)).count == 3)
        #expect(coordinator.handle(.report(.armed, from: Self.hosts[0]), at: Tick(1)).isEmpty)
        #expect(coordinator.handle(.report(.armed, from: Self.hosts[0]), at: Tick(1)).isEmpty)
        #expect(coordinator.handle(.report(.armed, from: Self.hosts[1]), at: Tick(2)).isEmpty)
        let actions = coordinator.handle(.report(.armed, from: Self.hosts[2]), at: Tick(3))
        #expect(actions == Self.hosts.map { .send(.probe, to: $0) })
    }

    @Test func aHostSpeaksForItsOwnMembersOnly() {
        var coordinator = PathTestCoordinator(plan: Self.plan())
        _ = coordinator.handle(.start, at: Tick(0))
        let (a, b) = (MemberName("a"), MemberName("b"))
        let foreign = Channel(sender: a, receiver: b)
        let own = Channel(sender: b, receiver: a)
        let unknown = Channel(sender: MemberName("x"), receiver: a)
        let arrivals = [foreign, own, unknown].map {
            ProbeArrival(channel: $0, afterOwn: 1, bleached: false, local: false)
        }
        for host in Self.hosts {
            let actions = coordinator.handle(
                .report(.ended(host == Self.hosts[0] ? arrivals : []), from: host), at: Tick(1))
            if case .finished(let outcome) = actions.last {
                #expect(outcome.arrivals.map(\.channel) == [own])
                #expect(!outcome.probed)
                return
            }
        }
        Issue.record("It does not end.")
    }

    @Test func aHostThatIsSilentIsNamed() {
        var coordinator = PathTestCoordinator(plan: Self.plan())
        _ = coordinator.handle(.start, at: Tick(0))
        _ = coordinator.handle(.report(.armed, from: Self.hosts[0]), at: Tick(1))
        _ = coordinator.handle(.report(.armed, from: Self.hosts[2]), at: Tick(1))
        #expect(coordinator.handle(.tick, at: Tick(4_999)).isEmpty)
        #expect(coordinator.handle(.tick, at: Tick(5_000)) == Self.hosts.map { .send(.end, to: $0) })
        _ = coordinator.handle(.report(.ended([]), from: Self.hosts[0]), at: Tick(5_001))
        _ = coordinator.handle(.report(.ended([]), from: Self.hosts[2]), at: Tick(5_001))
        guard case .finished(let outcome) = coordinator.handle(.tick, at: Tick(10_000)).last else {
            Issue.record("It does not end.")
            return
        }
        #expect(Array(outcome.failures.keys) == [Self.hosts[1]])
        #expect(outcome.failures[Self.hosts[1]]?.code == .deadline)
    }

    /// With hosts that answer late, wrongly, or not at all: it ends, and whoever was told to arm is told to end.
    @Test func everyScheduleEnds() {
        for seed in Seeds.all {
            var generator = SeededGenerator(seed: seed)
            var coordinator = PathTestCoordinator(plan: Self.plan())
            var told: [HostName: [PathTestCommand]] = [:]
            var silenced: Set<HostName> = []
            var outcome: PathTestCoordinator.Outcome?
            var now = UInt64(0)
            func handle(_ event: PathTestCoordinator.Event) {
                let wasOver = outcome != nil
                for action in coordinator.handle(event, at: Tick(now)) {
                    #expect(!wasOver, "seed \(seed)")
                    switch action {
                    case .send(let command, let host): told[host, default: []].append(command)
                    case .finished(let found): outcome = found
                    }
                }
            }
            handle(.start)
            for _ in 0..<40 {
                now += UInt64.random(in: 0..<900, using: &generator)
                let host = Self.hosts[Int.random(in: 0..<3, using: &generator)]
                let kind = Int.random(in: 0..<20, using: &generator)
                switch kind {
                case 0..<8: handle(.report(.armed, from: host))
                case 8..<12: handle(.report(.heard, from: host))
                case 12: handle(.report(.failed(Failure(.gateBroken, "It broke.")), from: host))
                case 13:
                    silenced.insert(host)
                    handle(.report(.ended([]), from: host))
                case 14:
                    silenced.insert(host)
                    handle(.hostLost(host))
                case 15: handle(.cancel)
                default: handle(.tick)
                }
            }
            for _ in 0..<4 {
                now += 10_000
                handle(.tick)
            }
            #expect(outcome != nil, "seed \(seed)")
            for host in Self.hosts where !silenced.contains(host) {
                #expect(told[host]?.last == .end, "seed \(seed)")
            }
            if outcome?.probed != true {
                #expect(!told.values.joined().contains(.probe), "seed \(seed)")
            }
        }
    }
}
