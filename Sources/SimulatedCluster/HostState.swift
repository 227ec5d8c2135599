import SnapshotProtocol

/// One desktop with its agent.
struct HostState {
    /// nil: no agent runs, or it has dropped the machine after `end`.
    var participant: SnapshotParticipant?
    var agentAlive = true
    /// The agent's open session with the manager; 0 for none.
    var session: UInt16 = 1
    var lastSession: UInt16 = 1
    /// Sessions up to this one carry nothing more.
    var broken: UInt16 = 0
    /// Until then nothing passes between this host and the manager.
    var controlCut: UInt64 = 0
    /// The session through which the epoch's machine reports.
    var epochSession: UInt16 = 1
    var frozenUntil: UInt64 = 0
    /// Time in all for which no agent could act.
    var idleFor: UInt64 = 0
    /// Parts per million by which the local clock is fast.
    let drift: Int64
    let clockOrigin: UInt64
    /// What a packet into this host takes longer than elsewhere, in nanoseconds.
    var pathDelay: UInt64 = 0
    var cutOff = (from: UInt64.max, to: UInt64(0))
    /// Gates.
    var gatesLive = false
    /// The mode in which they are armed, or are being armed.
    var mode = SnapshotMode.hold
    var arming = SnapshotMode.hold
    /// What comes coloured for a member that is not cut has to wait.
    var heedsColour = false
    /// What came while the agent did not run.
    var backlog: [Happening] = []
    var armedAt: UInt64 = 0
    var generation: UInt16 = 0
    /// Grows with every crash of the agent: what was under way before it is never answered.
    var boot: UInt16 = 0
    var leaky = false
    var foreignChanges: UInt64 = 0
    var watchdogFired = false
    var gateLane: UInt64 = 0
    var logClosed: UInt32 = 0
    /// When the machine wants its next tick, and which event brings it.
    var tickAt: Tick?
    var tickNumber: UInt16 = 0
    /// What goes wrong here.
    var diskFull = false
    var losesReport = false
    var doublesReport = false
    /// The second copy of a report, and the number of commands to this host after which it arrives.
    var copy: (message: Int32, session: UInt16, after: Int)?
    var slowArm: UInt64 = 0
    /// In order on the connection.
    var lastCommand: UInt64 = 0
    var lastReport: UInt64 = 0

    func local(_ now: UInt64) -> UInt64 {
        clockOrigin &+ UInt64(Int64(now) + Int64(now) / 1_000 * drift / 1_000)
    }

    func tick(_ now: UInt64) -> Tick { Tick(local(now) / 1_000_000) }

    /// When the local clock shows `tick`, to the microsecond.
    func time(of tick: Tick, from now: UInt64) -> UInt64 {
        let target = tick.rawValue * 1_000_000
        let shown = local(now)
        guard target > shown else { return now }
        let distance = Int64(target - shown)
        return now + UInt64(distance - distance / 1_000_000 * drift) + 1_000
    }

    /// True time in which the local clock advances by `milliseconds`, and a little more.
    func span(_ milliseconds: UInt64) -> UInt64 {
        UInt64(Int64(milliseconds) * 1_000_000 - Int64(milliseconds) * drift) + milliseconds * 1_000 + 2_000_000
    }
}

/// A packet that waits for its receiver's place.
struct Waiting {
    let packet: Int32
    let since: UInt64
    /// Belongs into the log, should it still wait at the place.
    let isState: Bool
}

/// One member: its guest, its gate and its logs.
struct MemberState {
    let host: Int
    var alive = true
    var paused = false
    var pausedAt: UInt64 = 0
    /// Its gate is live.
    var gated = false
    /// What its gate holds of what it emits; in colour mode only while the agent does not run.
    var held: [Int32] = []
    var place = 0
    var heldInAll: UInt64 = 0
    var overflowed: UInt64 = 0
    /// Until then its queue loses what it should take.
    var overflowsUntil: UInt64 = 0
    /// A rule sends its packets into a queue that nobody reads.
    var deaf = false
    /// Step of the cut; 0 before it.
    var cut: UInt32 = 0
    var logsLate = false
    /// Nothing is delivered to it until its place is noted.
    var cutBegun = false
    var hasPlace = false
    /// The mode in effect at its place.
    var cutMode: SnapshotMode?
    /// What it emits leaves with the colour.
    var isColouring = false
    /// What its gate keeps from it, in order.
    var waiting: [Waiting] = []
    var heldColoured: UInt64 = 0
    /// The channel log: what was held before the place, and what came late.
    var heldLog: [Int32] = []
    var lateLog: [Int32] = []
    /// The guest's processors stand still until then.
    var stalledUntil: UInt64 = 0
    /// What the guest has in its memory and has not yet looked at.
    var ring: [Int32] = []
    /// What waits for the guest while it is paused.
    var tap: [Int32] = []
    var deferred: [Happening] = []
    var lane: UInt64 = 0
    var generation: UInt16 = 0
    var stored = false
    var armedWall: UInt64 = 0
    var cutWall: UInt64 = 0
    var slowFreeze: UInt64 = 0
    var slowImage: UInt64 = 0
    var losesAnswer = false
    var losesMarkers = false
    var refuses = false

    init(host: Int) { self.host = host }
}
