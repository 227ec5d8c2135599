/// What each desktop must know of a path test: a short trial in which the gates of all members are armed as in colour
/// mode, and probes go over every channel. Nothing is held, coloured, frozen or cut.
package struct PathTestPlan: Hashable, Sendable {
    /// Chosen at random; stands in the markers where those of an epoch have its number.
    package var id: UInt64
    package var cluster: String
    /// All members that run, also those of other hosts.
    package var members: [PlannedMember]
    /// Key of this test only, with which markers are authenticated. 32 bytes.
    package var markerKey: [UInt8]
    /// Longest time for which gates may be armed, in milliseconds; then the agent opens them by itself.
    package var budget: UInt64

    package init(id: UInt64, cluster: String, members: [PlannedMember], markerKey: [UInt8], budget: UInt64) {
        self.id = id
        self.cluster = cluster
        self.members = members
        self.markerKey = markerKey
        self.budget = budget
    }

    package func members(on host: HostName) -> [PlannedMember] { members.filter { $0.host == host } }

    /// Every ordered pair of members.
    package var channels: [Channel] {
        members.flatMap { sender in
            members.filter { $0.name != sender.name }.map { Channel(sender: sender.name, receiver: $0.name) }
        }.sorted()
    }
}

package enum PathTestCommand: Hashable, Sendable {
    case arm(PathTestPlan)
    /// All hosts have armed: send probes.
    case probe
    /// Open the gates and say what came.
    case end
}

/// A probe that has come to a member of the reporting host.
package struct ProbeArrival: Hashable, Sendable {
    package var channel: Channel
    /// Nanoseconds on the reporting host's own monotonic clock, from its first probe the other way round to this
    /// arrival; negative when this came first. The sum of both ends' is the round trip, whatever their clocks say.
    package var afterOwn: Int64
    /// It came without its colour.
    package var bleached: Bool
    /// Sender and receiver are on one bridge, so that there is no wire.
    package var local: Bool

    package init(channel: Channel, afterOwn: Int64, bleached: Bool, local: Bool) {
        self.channel = channel
        self.afterOwn = afterOwn
        self.bleached = bleached
        self.local = local
    }
}

package enum PathTestReport: Hashable, Sendable {
    case armed
    /// A probe has come on every channel into this host.
    case heard
    /// The test failed here. The gates of this host are open, or about to be.
    case failed(Failure)
    /// The gates are open and nothing of the test is left. The last report.
    case ended([ProbeArrival])
}
