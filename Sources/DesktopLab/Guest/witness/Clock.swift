import Glibc

/// Monotonic guest time in nanoseconds. It stands still between a cut and the restore.
func monotonicNow() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// What has passed since then; nothing, when the clock went back. It does in a guest that stood still without being
/// paused, as when it waits for its image to be taken: the timer of the power management wraps every 4.7 seconds.
func elapsed(since then: UInt64, _ now: UInt64) -> UInt64 { now > then ? now - then : 0 }

func milliseconds(_ nanoseconds: UInt64) -> UInt64 { nanoseconds / 1_000_000 }
