import SnapshotProtocol

/// What is given before the world starts: topology, network, traffic and faults. Together with `seed`, from which all
/// delays are drawn, it determines the whole history.
struct Scenario {
    struct Write {
        var from: UInt8
        var to: UInt8
        var time: UInt64
        var datagram: Bool
    }

    let seed: UInt64
    /// Host of each member.
    var placement: [Int]
    var hostCount: Int
    /// Packets of a channel arrive in the order in which they were sent.
    var fifo: Bool
    /// Per mille.
    var loss: Int
    var duplication: Int
    /// Longest delay of a packet in microseconds.
    var delay: UInt64
    /// Of each host's clock, in parts per million.
    var drift: [Int64]
    var writes: [Write]
    var faults: [Fault]
    let mode: SnapshotMode
    /// In milliseconds.
    let colourBudget: UInt64
    /// Guests that set the bit of the colour themselves.
    var ownBits: [Bool]
    /// What takes the colour off stands near the sender.
    let bleachesEarly: Bool
    /// Faults of the restore that follows if there is a snapshot; their times count from its start.
    var restoreFaults: [Fault]
    /// The restore may stop the members that run.
    var replaceRunning: Bool

    /// The epoch starts at this instant.
    static let epochStart: UInt64 = 8_000_000
    static let holdBudget: UInt64 = 120
    /// In colour mode longer than the time between two markers and their way.
    var flushBound: UInt64 { mode == .hold ? 20 : 50 }
    /// In nanoseconds: every deadline used up, one after the other.
    var longestEpoch: UInt64 { 2_000_000_000 + (mode == .hold ? 0 : 4_000_000 * colourBudget) }
    /// In nanoseconds: from the first place of an epoch to that of a member which is not slow.
    static let ownPause: UInt64 = 5_000_000
    /// Deadlines of a restore in milliseconds.
    static let restoreStep: UInt64 = 300
    static let restoreLoad: UInt64 = 1_500
    /// Longest pause of a guest, in nanoseconds, not counting time in which its agent does not run.
    static let longestPause: UInt64 = 300_000_000

    init(seed: UInt64) {
        self.seed = seed
        var random = SimulationRandom(seed: seed)
        hostCount = 2 + random.index(3)
        let members = random.chance(750) ? 4 : 5
        placement = []
        for member in 0..<members { placement.append(member < hostCount ? member : random.index(hostCount)) }
        fifo = random.chance(700)
        loss = random.chance(400) ? 1 + random.index(60) : 0
        duplication = random.chance(250) ? 1 + random.index(60) : 0
        delay = random.chance(250) ? 8_000 + random.below(25_000) : 200 + random.below(2_500)
        drift = []
        for _ in 0..<hostCount { drift.append(Int64(random.below(40_001)) - 20_000) }
        writes = []
        writes.reserveCapacity(48)
        for _ in 0..<(16 + random.index(24)) {
            let from = random.index(members)
            let to = (from + 1 + random.index(members - 1)) % members
            writes.append(
                Write(
                    from: UInt8(from), to: UInt8(to),
                    time: random.chance(500) ? random.span(8_000, 26_000) : random.span(0, 45_000),
                    datagram: random.chance(300)))
        }
        mode = random.chance(500) ? .colour : .hold
        colourBudget = random.chance(120) ? 4_000 : 300
        ownBits = []
        for _ in 0..<members { ownBits.append(random.chance(200)) }
        bleachesEarly = fifo && random.chance(500)
        let hazard = Hazard(mode: mode, colourBudget: colourBudget, members: members, hosts: hostCount)
        faults = [hazard.fault(&random)]
        while faults.count < 4, random.chance(300) { faults.append(hazard.fault(&random)) }
        restoreFaults = []
        if random.chance(500) { restoreFaults.append(hazard.restoreFault(&random)) }
        if random.chance(100) { restoreFaults.append(hazard.restoreFault(&random)) }
        replaceRunning = random.chance(950)
    }
}
