/// How far a desktop's wall clock is from the manager's, by one exchange: the answer was given at some moment of the
/// round trip, and its middle is the best guess.
package struct ClockEstimate: Hashable, Sendable {
    /// Nanoseconds by which the desktop is ahead; negative when it is behind.
    package var offset: Int64
    /// Half of the round trip, in nanoseconds: the offset is no further off than this.
    package var uncertainty: UInt64

    /// All in nanoseconds; `asked` and `answered` on the manager's wall clock.
    package init(asked: UInt64, told: UInt64, answered: UInt64) {
        let trip = answered > asked ? answered - asked : 0
        let (middle, overflow) = asked.addingReportingOverflow(trip / 2)
        let distance = overflow ? 0 : told > middle ? told - middle : middle - told
        offset = told > middle ? Int64(clamping: distance) : -Int64(clamping: distance)
        uncertainty = trip / 2 + trip % 2
    }

    /// The one that says most.
    package static func best(of estimates: [ClockEstimate]) -> ClockEstimate? {
        estimates.min { $0.uncertainty < $1.uncertainty }
    }

    /// From how many nanoseconds on a clock is wrong: certificates, names and times of snapshots go by it.
    package static let tolerance: UInt64 = 2_000_000_000

    /// Certain, in spite of the round trip.
    package var isWrong: Bool { offset.magnitude > uncertainty.addingReportingOverflow(Self.tolerance).partialValue }
}
