/// What a gate states about one member, from arm to release.
package struct GateEvidence: Hashable, Sendable {
    package var member: String
    /// Segments held at the egress in all.
    package var held: UInt64 = 0
    /// Of these, emitted before the cut. Zero without a cut.
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
    /// Members whose markers did not arrive.
    package var markersMissing: [String] = []
    /// Datagrams that looked like markers and were not authentic.
    package var markersRejected: UInt64 = 0
    /// When the rules were live, in nanoseconds since 1970.
    package var armedAt: UInt64 = 0
    /// When the gate began to let go, in nanoseconds since 1970.
    package var releasedAt: UInt64 = 0
    /// From the rules being live to the rules being gone, in nanoseconds.
    package var holdTime: UInt64 = 0

    init(member: String) { self.member = member }
}
