import SnapshotProtocol

/// Why members cannot be prepared. Several reasons at once: whoever asks shall see all of them, not one after the other.
struct Refusals: Error {
    var failures: [Failure]

    init(failures: [Failure]) { self.failures = failures }

    init(_ error: any Error) {
        failures = (error as? Refusals)?.failures ?? [failure(of: error, member: nil)]
    }

    /// What the machine is told. Every member is answered for, also those that nothing stands in the way of or that were
    /// not looked at any more: the machine waits for each, and then tells all the reasons at once.
    func events(for members: [MemberName]) -> [SnapshotParticipant.Event] {
        let refused = Set(failures.compactMap(\.member))
        return failures.map { .memberRefused($0) }
            + members.filter { !refused.contains($0) }.map { .memberPrepared($0) }
    }
}
