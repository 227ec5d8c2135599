import Foundation

enum Timestamp {
    /// Nanoseconds since 1970 as ISO 8601 in UTC.
    static func text(_ nanoseconds: UInt64) -> String {
        Date(timeIntervalSince1970: TimeInterval(nanoseconds / 1_000_000_000)).formatted(.iso8601)
    }
}
