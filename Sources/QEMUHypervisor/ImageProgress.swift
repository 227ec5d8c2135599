import FoundationEssentials
import Hypervisor

/// How far QEMU is with an image.
struct ImageProgress: Sendable, Hashable {
    var status: String
    var error: String?
    /// Pages of memory that were written: none before all of it is protected against changes.
    var pages: UInt64

    private struct Migration: Decodable {
        struct Memory: Decodable {
            var normal: UInt64?
            var duplicate: UInt64?
        }
        var status: String?
        var error: String?
        var ram: Memory?

        enum CodingKeys: String, CodingKey {
            case status, ram
            case error = "error-desc"
        }
    }

    init(_ monitor: borrowing some Monitor & ~Copyable) throws(HypervisorError) {
        let migration: Migration = try BlockLayout.ask(monitor, #"{"execute":"query-migrate"}"#)
        status = migration.status ?? "none"
        error = migration.error
        pages = (migration.ram?.normal ?? 0) &+ (migration.ram?.duplicate ?? 0)
    }
}
