/// What a gate states about one member, from arm to release.
package struct GateEvidence: Hashable, Sendable {
    package var member: String
    /// Segments held in all. In hold mode those that the member emitted; in colour mode the coloured ones from members
    /// that waited for its cut.
    package var held: UInt64 = 0
    /// In hold mode, those of them that were emitted before the cut; zero without a cut. In colour mode zero: what was
    /// emitted before a cut is never held.
    package var heldBeforeCut: UInt64 = 0
    /// Segments in the channel log.
    package var logged: UInt64 = 0
    /// Segments held before the cut whose receiver could not be told, and which the log therefore lacks.
    package var unresolved: UInt64 = 0
    /// Packets that the kernel dropped because a queue or its socket was full.
    package var overflowed: UInt64 = 0
    /// Transactions on the packet filter by somebody else.
    package var foreignChanges: UInt64 = 0
    /// Whether queues, rules and taps were in place from arm to release, and held what the gate thinks they held.
    package var unbroken = true
    /// What is not, for people.
    package var reasons: [String] = []
    package var watchdogFired = false
    /// Packets that this host's gates were handed while none was armed, since the agent started.
    package var packetsOutsideEpoch: UInt64 = 0
    /// Members whose markers did not arrive: in hold mode the flush markers, in colour mode the cut markers.
    package var markersMissing: [String] = []
    /// Members whose cut marker came without its colour: the path does not keep it, and a segment emitted after the cut
    /// may have passed for one from before.
    package var bleached: [String] = []
    /// Datagrams that looked like markers and were not authentic.
    package var markersRejected: UInt64 = 0
    /// When the rules were live, or when holding began after a fall back; in nanoseconds since 1970.
    package var armedAt: UInt64 = 0
    /// When the gate began to let go, in nanoseconds since 1970.
    package var releasedAt: UInt64 = 0
    /// From `armedAt` to the rules being gone, in nanoseconds.
    package var holdTime: UInt64 = 0

    init(member: String) { self.member = member }
}
