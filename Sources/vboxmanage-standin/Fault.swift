import Foundation

/// What the stand-in was told to do wrong: lines of `verb fault [times]` in the file `faults` of its folder.
///
/// The verb is that of the command line, such as `snapshot-take` or `controlvm-resume`, or `*`.
enum Fault: Hashable {
    /// Answers nothing, before anything was done.
    case hang
    /// Answers nothing, after it was done.
    case hangAfter
    /// Another session holds the VM.
    case locked
    /// Says that it is done, and does nothing.
    case lie
    /// Does it, and takes it back without a word.
    case lose
    case fail
    case slow(milliseconds: Int)
    /// Writes as versions before 7.0 did.
    case oldFormat

    private init?(_ word: Substring) {
        switch word {
        case "hang": self = .hang
        case "hang-after": self = .hangAfter
        case "locked": self = .locked
        case "lie": self = .lie
        case "lose": self = .lose
        case "fail": self = .fail
        case "old-format": self = .oldFormat
        default:
            guard word.hasPrefix("slow:"), let milliseconds = Int(word.dropFirst(5)) else { return nil }
            self = .slow(milliseconds: milliseconds)
        }
    }

    /// Those that apply to a command; one with a number of times loses one of them.
    static func take(_ verb: String, in home: Home) -> Set<Fault> {
        let path = "\(home.folder)/faults"
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        return home.locked("faults") {
            guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return [] }
            var found: Set<Fault> = []
            let lines = text.split(whereSeparator: \.isNewline).compactMap { line -> String? in
                let words = line.split(separator: " ")
                guard words.count >= 2, words[0] == verb || words[0] == "*", let fault = Fault(words[1]) else {
                    return String(line)
                }
                found.insert(fault)
                guard words.count > 2, let times = Int(words[2]) else { return String(line) }
                return times > 1 ? "\(words[0]) \(words[1]) \(times - 1)" : nil
            }
            try? lines.map { $0 + "\n" }.joined().write(toFile: path, atomically: true, encoding: .utf8)
            return found
        }
    }
}
