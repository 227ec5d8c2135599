import Glibc

package enum WallClock {
    /// Nanoseconds since 1970.
    package static func now() -> UInt64 { read(CLOCK_REALTIME) }

    /// Nanoseconds since some instant; never set back.
    package static func monotonic() -> UInt64 { read(CLOCK_MONOTONIC) }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
