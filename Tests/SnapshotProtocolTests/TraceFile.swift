import Foundation

/// A scenario and what it must lead to, as a text file:
///
/// ```
/// # A comment.
/// cluster a@d1 b@d2
///
/// start
/// ----
/// manager: enter preparing
/// manager -> d1: prepare
/// manager -> d2: prepare
/// ```
///
/// A command followed by `----` states exactly what the machines decide on it, down to the next empty line. A command
/// without it only leads up to what is examined. Whoever rewrites a trace must understand why it changed.
struct TraceFile {
    enum Item {
        case text(String)
        case command(String, line: Int, expected: [String]?)
    }

    let url: URL
    private(set) var items: [Item] = []

    static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Traces")

    static let names: [String] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path())) ?? []
        return files.filter { $0.hasSuffix(".txt") }.sorted()
    }()

    init(name: String) throws {
        url = Self.folder.appending(path: name)
        let lines = try String(contentsOf: url, encoding: .utf8).split(
            separator: "\n", omittingEmptySubsequences: false
        ).map(String.init)
        var index = 0
        while index < lines.count {
            let line = lines[index]
            index += 1
            if line.isEmpty || line.hasPrefix("#") {
                items.append(.text(line))
                continue
            }
            let number = index
            guard index < lines.count, lines[index] == "----" else {
                items.append(.command(line, line: number, expected: nil))
                continue
            }
            index += 1
            var expected: [String] = []
            while index < lines.count, !lines[index].isEmpty {
                expected.append(lines[index])
                index += 1
            }
            items.append(.command(line, line: number, expected: expected))
        }
        // The last line end makes an empty last line.
        if case .text("") = items.last { items.removeLast() }
    }

    func write(_ items: [Item]) throws {
        var text = ""
        for item in items {
            switch item {
            case .text(let line): text += line + "\n"
            case .command(let command, _, let expected):
                text += command + "\n"
                if let expected { text += (["----"] + expected).joined(separator: "\n") + "\n" }
            }
        }
        try text.write(to: url, atomically: true, encoding: .utf8)
    }

    /// Both texts line by line, with `-` before what is lacking and `+` before what was not expected.
    static func difference(expected: [String], actual: [String]) -> String {
        var removed: Set<Int> = []
        var inserted: Set<Int> = []
        for change in actual.difference(from: expected) {
            switch change {
            case .remove(let offset, _, _): removed.insert(offset)
            case .insert(let offset, _, _): inserted.insert(offset)
            }
        }
        var lines: [String] = []
        var old = 0
        var new = 0
        while old < expected.count || new < actual.count {
            if removed.contains(old) {
                lines.append("- " + expected[old])
                old += 1
            } else if inserted.contains(new) {
                lines.append("+ " + actual[new])
                new += 1
            } else {
                lines.append("  " + actual[new])
                old += 1
                new += 1
            }
        }
        return lines.joined(separator: "\n")
    }
}
