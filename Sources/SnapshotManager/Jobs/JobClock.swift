import SnapshotProtocol

/// The clock of one job: milliseconds since it began.
struct JobClock: Sendable {
    /// Between two ticks while a job runs.
    static let period: Duration = .milliseconds(10)

    private let origin = ContinuousClock.now

    var now: Tick { Tick(UInt64(clamping: nanoseconds / 1_000_000)) }

    var nanoseconds: Int64 {
        let (seconds, attoseconds) = (ContinuousClock.now - origin).components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}
