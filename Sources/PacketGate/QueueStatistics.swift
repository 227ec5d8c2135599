/// What the kernel says about one queue of this network namespace.
struct QueueStatistics: Hashable, Sendable {
    /// That of the calling thread: `/proc/self` would show that of the process' first thread.
    static let path = "/proc/thread-self/net/netfilter/nfnetlink_queue"

    /// Netlink port of the owner.
    var port: UInt32
    /// Packets that wait for a verdict.
    var waiting: UInt64
    /// Dropped because the queue was full.
    var queueDropped: UInt64
    /// Dropped because the owner's socket was full.
    var userDropped: UInt64

    static func read() -> [UInt16: QueueStatistics] { parse(SmallFile.read(path) ?? "") }

    /// By queue number. Lines that say something else are passed over.
    static func parse(_ text: String) -> [UInt16: QueueStatistics] {
        var queues: [UInt16: QueueStatistics] = [:]
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: " ").compactMap { UInt64($0) }
            guard fields.count >= 8, let number = UInt16(exactly: fields[0]),
                let port = UInt32(exactly: fields[1])
            else { continue }
            queues[number] = QueueStatistics(
                port: port, waiting: fields[2], queueDropped: fields[5], userDropped: fields[6])
        }
        return queues
    }
}
