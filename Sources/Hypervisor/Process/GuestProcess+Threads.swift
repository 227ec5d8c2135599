import Foundation
import Glibc

extension GuestProcess {
    private var threads: Set<Int32> {
        Set((try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task"))?.compactMap(Int32.init) ?? [])
    }

    private func isAsleep(_ thread: Int32) -> Bool {
        guard let stat = FileManager.default.contents(atPath: "/proc/\(pid)/task/\(thread)/stat") else { return true }
        let text = String(decoding: stat, as: UTF8.self)
        guard let end = text.lastIndex(of: ")") else { return true }
        return text[text.index(after: end)...].split(separator: " ").first == "S"
    }

    /// Does `work`, and waits until the threads that QEMU has begun for it have nothing more to do for now, or until that
    /// takes too long.
    package func awaitQuiet<Failure: Error>(
        after work: () throws(Failure) -> Void, atMost nanoseconds: UInt64
    ) throws(Failure) {
        let former = threads
        try work()
        let end = WallClock.monotonic() + nanoseconds
        var looksAsleep = 0
        // One look may fall on a thread that waits for a lock.
        while looksAsleep < 3, WallClock.monotonic() < end {
            usleep(300)
            let begun = threads.subtracting(former)
            looksAsleep = !begun.isEmpty && begun.allSatisfy(isAsleep) ? looksAsleep + 1 : 0
        }
    }
}
