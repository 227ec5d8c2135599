import SnapshotProtocol

/// The world's part in a restore of the listed snapshot.
struct RestoreState {
    var coordinator: RestoreCoordinator?
    /// Whether the manager's process is the one that began the restore.
    var jobAlive = false
    var outcome: RestoreCoordinator.Outcome?
    /// The manager has told hosts to keep their members.
    var finishing = false
    /// The sessions on which the restore's job listens; 0 for none.
    var sessions: [UInt16]
    var hosts: [RestoringHost]
    var members: [RestoringMember] = []
    var commands: [RestoreCommand] = []
    var reports: [RestoreReport] = []
    /// The connections as the restored members have them.
    var streams: [Stream] = []
    /// How often each packet of the logs was replayed.
    var replays: [UInt8] = []

    init(hostCount: Int) {
        sessions = Array(repeating: 0, count: hostCount)
        hosts = Array(repeating: RestoringHost(), count: hostCount)
    }
}

struct RestoringHost {
    /// nil: no restore is known here.
    var participant: RestoreParticipant?
    /// The session through which the machine reports.
    var session: UInt16 = 0
    /// Drops everything that carries a member's address.
    var fenced = false
    /// Has once been fenced, with its originals stopped.
    var wasFenced = false
    var lane: UInt64 = 0
    /// The manager was out of reach after it had told hosts to keep their members.
    var missedTheEnd = false
}

struct RestoringMember {
    enum State { case absent, paused, running }

    /// The host on which it is restored.
    let home: Int
    /// The member of the timeline that is to be given up still runs, on the host on which it was snapshotted.
    var original: Bool
    var state = State.absent
    var wasLoaded = false
    var committed = false
    /// Something of the abandoned timeline waits for it.
    var tainted = false
    var lane: UInt64 = 0
    var generation: UInt16 = 0
    var loadFails = false
    var slowLoad: UInt64 = 0
}

/// The completion of what a participant of a restore asked its driver for.
enum RestoreWork {
    case fenceStands, originalsStopped, loaded, replayed, opened, started, discarded, lifted
}
