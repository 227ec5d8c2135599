import Foundation

/// The console log of one guest. Guests append to it, also after a restore.
package struct WitnessLog: Sendable {
    package let path: String

    package init(path: String) {
        self.path = path
    }

    /// Size in bytes; 0 while the file does not exist.
    package var size: UInt64 {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        return (attributes?[.size] as? NSNumber)?.uint64Value ?? 0
    }

    /// The whole reports that begin at or after `offset`, in the order in which they were written, and the offset up to
    /// which the log was read (a line that is not yet ended is left for the next time).
    package func reports(since offset: UInt64 = 0) -> (reports: [WitnessReport], end: UInt64) {
        guard let file = FileHandle(forReadingAtPath: path) else { return ([], offset) }
        defer { try? file.close() }
        guard (try? file.seek(toOffset: offset)) != nil, let data = try? file.readToEnd(),
            let last = data.lastIndex(of: UInt8(ascii: "\n"))
        else { return ([], offset) }
        let lines = data[...last].split(separator: UInt8(ascii: "\n"))
        let reports = lines.compactMap { WitnessReport(line: String(decoding: $0, as: UTF8.self)) }
        return (reports, offset + UInt64(last - data.startIndex) + 1)
    }

    /// The last whole report, looked for in the last 64 KiB.
    package var latest: WitnessReport? {
        let size = size
        return reports(since: size > 65_536 ? size - 65_536 : 0).reports.last
    }
}
