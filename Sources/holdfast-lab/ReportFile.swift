import Foundation

/// Where a tool leaves its figures for other programs.
enum ReportFile {
    /// Makes the folder, too.
    static func write(_ report: some Encodable, to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let file = URL(filePath: path)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try encoder.encode(report).write(to: file, options: .atomic)
    }
}
