import Hypervisor

/// Where the time of a pause goes, for the log.
struct CutSteps: CustomStringConvertible {
    /// Wall clock, nanoseconds since 1970.
    let startedAt = WallClock.now()
    private var last = WallClock.monotonic()
    /// Each in nanoseconds: until QEMU stood still, until the disks were diverted, until the caller had done what it
    /// does while nothing moves, and until the guest ran again.
    var stop: UInt64 = 0
    var disks: UInt64 = 0
    var frozen: UInt64 = 0
    var image: UInt64 = 0

    mutating func mark(_ step: WritableKeyPath<CutSteps, UInt64>) {
        let now = WallClock.monotonic()
        self[keyPath: step] = now - last
        last = now
    }

    var description: String {
        "stop_us=\(stop / 1000) disks_us=\(disks / 1000) frozen_us=\(frozen / 1000) image_us=\(image / 1000)"
    }
}
