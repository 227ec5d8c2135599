import Glibc

/// Notices that this guest was loaded from an image: its monotonic clock stood still, the battery-backed clock of the
/// machine did not. Nothing else in the guest tells the instant of the cut.
final class RestoreDetector {
    /// A shorter standstill is a pause, as every cut makes one. The clock counts whole seconds, so that only a standstill
    /// of 2.5 s is sure to be noticed.
    private static let threshold: Int64 = 1_500
    private static let day: Int64 = 86_400_000
    /// Between two looks at the machine's clock: each costs an emulated guest tens of microseconds.
    private static let interval: UInt64 = 4_000_000
    /// RTC_RD_TIME of <linux/rtc.h>: nine C integers, of which the first three are seconds, minutes and hours.
    private static let readTime: UInt = 0x8024_7009

    private let device: Int32
    private var lookedAt: UInt64 = 0
    private var last: (machine: Int64, guest: Int64)?

    init() {
        device = open("/dev/rtc0", O_RDONLY | O_CLOEXEC)
    }

    /// Once for each restore, a time shortly before the instant at which the clock stood still: that of the last look
    /// before it.
    func restored(_ now: UInt64) -> UInt64? {
        guard elapsed(since: lookedAt, now) >= Self.interval else { return nil }
        let before = lookedAt
        lookedAt = now
        var time: (Int32, Int32, Int32, Int32, Int32, Int32, Int32, Int32, Int32) = (0, 0, 0, 0, 0, 0, 0, 0, 0)
        guard withUnsafeMutableBytes(of: &time, { ioctl(device, Self.readTime, $0.baseAddress!) }) == 0 else {
            return nil
        }
        let machine = ((Int64(time.2) * 60 + Int64(time.1)) * 60 + Int64(time.0)) * 1000
        let guest = Int64(milliseconds(now))
        defer { last = (machine, guest) }
        guard let last else { return nil }
        // The date is left out, so the difference is taken round the clock's face.
        let jump = (machine - last.machine) - (guest - last.guest)
        let wrapped = ((jump % Self.day) + Self.day) % Self.day
        return wrapped > Self.threshold && wrapped < Self.day - Self.threshold ? before : nil
    }
}
