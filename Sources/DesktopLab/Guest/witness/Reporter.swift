import Glibc

/// Writes one line to the serial console for each interval. The format is read by `WitnessReport` of the lab.
///
/// `HF SEQUENCE UPTIME_MS RESTORES,RESTORED_AT_MS DISK_SEQUENCE,MISMATCHES,ERRNO [CONNECTION…] *CHECKSUM`, where a
/// connection is `PEER KIND STATE SENT,RECEIVED,MISMATCHES,SILENCE_MS,LONGEST_MS,HEARD_MS` without the blanks.
final class Reporter {
    private let console: Int32
    private var sequence: UInt64 = 0
    private var pending: [UInt8] = []

    init() {
        console = open("/dev/ttyS0", O_WRONLY | O_NOCTTY | O_NONBLOCK)
    }

    func report(
        now: UInt64, restores: Int, restoredAt: UInt64, disk: DiskJournal.Status, connections: [Connection]
    ) {
        sequence += 1
        var line = "HF \(sequence) \(milliseconds(now)) \(restores),\(milliseconds(restoredAt)) "
        line += "\(disk.sequence),\(disk.mismatches),\(disk.failure)"
        for connection in connections {
            let silence = milliseconds(connection.takeSilence(now))
            line += " \(connection.peer)"
            line.unicodeScalars.append(Unicode.Scalar(connection.kind.rawValue))
            line.unicodeScalars.append(Unicode.Scalar(connection.state.rawValue))
            line += "\(connection.sent),\(connection.received),\(connection.mismatches),\(silence)"
            line += ",\(milliseconds(connection.longestEver)),\(milliseconds(connection.heardAfterRestore(now)))"
        }
        // A line that waits unsent is of more use whole than the next one would be.
        if pending.isEmpty { pending = Array("\(line) *\(Reporter.checksum(line))\n".utf8) }
        flush()
    }

    /// Sends what the serial port had no room for.
    func flush() {
        guard !pending.isEmpty else { return }
        let count = write(console, pending, pending.count)
        if count > 0 { pending.removeFirst(count) }
    }

    /// FNV-1a of the line up to the blank before the star, in hexadecimal: after a restore in the middle of a line the
    /// log holds halves of two.
    static func checksum(_ line: String) -> String {
        String(line.utf8.reduce(UInt32(0x811C_9DC5)) { ($0 ^ UInt32($1)) &* 0x0100_0193 }, radix: 16)
    }
}
