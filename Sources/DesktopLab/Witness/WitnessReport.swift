/// One line that the witness of a guest wrote on its serial console.
package struct WitnessReport: Hashable, Sendable, Codable {
    /// Counts the reports of this guest, from 1; jumps back at a restore.
    package var sequence: UInt64
    /// Monotonic guest time in milliseconds; jumps back at a restore.
    package var uptime: UInt64
    /// How often this guest noticed that it was loaded from an image.
    package var restores: Int
    /// Guest time of the last such moment, in milliseconds; 0 if there was none.
    package var restoredAt: UInt64
    /// Records written to the disk.
    package var diskSequence: UInt64
    /// Records on the disk that were not of the same instant as the memory.
    package var diskMismatches: UInt64
    /// The errno that ended the disk journal, or 0.
    package var diskFailure: Int32
    package var connections: [ConnectionReport]

    package init(
        sequence: UInt64, uptime: UInt64, restores: Int, restoredAt: UInt64, diskSequence: UInt64,
        diskMismatches: UInt64, diskFailure: Int32, connections: [ConnectionReport]
    ) {
        self.sequence = sequence
        self.uptime = uptime
        self.restores = restores
        self.restoredAt = restoredAt
        self.diskSequence = diskSequence
        self.diskMismatches = diskMismatches
        self.diskFailure = diskFailure
        self.connections = connections
    }

    package var isTalkingToAll: Bool { connections.allSatisfy { $0.state == .open } }

    /// Reads one line of a console log. Nil for anything that is not a whole report: other output, and the halves of
    /// lines that a cut or a kill leaves.
    package init?(line: some StringProtocol) {
        // A killed guest may leave half a line, to which the restored one appends.
        guard let start = WitnessReport.lastStart(in: line) else { return nil }
        let text = line[start...]
        guard let star = text.lastIndex(of: "*"), star > text.startIndex,
            text[text.index(before: star)] == " "
        else { return nil }
        let covered = text[..<text.index(before: star)]
        let checksum = text[text.index(after: star)...].prefix(while: \.isHexDigit)
        guard UInt32(checksum, radix: 16) == WitnessReport.checksum(covered.utf8) else { return nil }
        let words = covered.split(separator: " ").map { Substring($0) }
        guard words.count >= 5, let sequence = UInt64(words[1]), let uptime = UInt64(words[2]) else { return nil }
        let restore = words[3].split(separator: ",").compactMap { UInt64($0) }
        let disk = words[4].split(separator: ",").compactMap { UInt64($0) }
        let connections = words[5...].compactMap { ConnectionReport($0) }
        guard restore.count == 2, disk.count == 3, connections.count == words.count - 5,
            let failure = Int32(exactly: disk[2]), let restores = Int(exactly: restore[0])
        else { return nil }
        self.init(
            sequence: sequence, uptime: uptime, restores: restores, restoredAt: restore[1], diskSequence: disk[0],
            diskMismatches: disk[1], diskFailure: failure, connections: connections)
    }

    private static func lastStart<Line: StringProtocol>(in line: Line) -> Line.Index? {
        var found: Line.Index?
        var place = line.startIndex
        while place < line.endIndex {
            if line[place...].hasPrefix("HF ") { found = place }
            place = line.index(after: place)
        }
        return found
    }

    /// FNV-1a, as the witness computes it.
    static func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
        bytes.reduce(0x811C_9DC5) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
    }
}
