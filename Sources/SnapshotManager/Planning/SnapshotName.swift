import Foundation
package import SnapshotProtocol

/// How snapshots are called: `web-000012-20261121T093000Z`. Sorts by age within a cluster.
package enum SnapshotName {
    /// `now` in nanoseconds since 1970.
    package static func make(cluster: String, epoch: Epoch, now: UInt64) -> String {
        let number = String(epoch.rawValue)
        let padding = String(repeating: "0", count: max(0, 6 - number.count))
        var seconds = time_t(now / 1_000_000_000)
        var utc = tm()
        gmtime_r(&seconds, &utc)
        func two(_ value: CInt) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let date = "\(utc.tm_year + 1900)\(two(utc.tm_mon + 1))\(two(utc.tm_mday))"
        let time = "\(two(utc.tm_hour))\(two(utc.tm_min))\(two(utc.tm_sec))"
        return "\(cluster)-\(padding)\(number)-\(date)T\(time)Z"
    }
}
