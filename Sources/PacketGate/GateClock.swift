import Glibc

/// The two clocks of the packet path, in nanoseconds.
enum GateClock {
    /// Never set back: for deadlines and durations.
    static var monotonic: UInt64 { read(CLOCK_MONOTONIC) }
    /// Since 1970: for records.
    static var wall: UInt64 { read(CLOCK_REALTIME) }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
