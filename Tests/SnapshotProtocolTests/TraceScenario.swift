import SnapshotProtocol

/// What a trace talks to: a cluster in an epoch, or in a restore.
protocol TraceScenario {
    /// Does what the command says and returns what the machines decided.
    mutating func run(_ command: TraceCommand) throws(TraceError) -> [String]
}

struct TraceError: Error, CustomStringConvertible {
    let description: String
}

/// One command line of a trace: a verb, words, `key=value` settings.
struct TraceCommand {
    let verb: String
    let words: [String]
    let settings: [String: String]

    /// Double quotes hold words together.
    init(_ line: String) throws(TraceError) {
        var parts: [String] = []
        for (number, piece) in line.split(separator: "\"", omittingEmptySubsequences: false).enumerated() {
            if number % 2 == 1 {
                parts.append(String(piece))
            } else {
                parts += piece.split(separator: " ").map(String.init)
            }
        }
        guard let first = parts.first else { throw TraceError(description: "an empty command") }
        verb = first
        var words: [String] = []
        var settings: [String: String] = [:]
        for part in parts.dropFirst() {
            let sides = part.split(separator: "=", maxSplits: 1).map(String.init)
            if sides.count == 2, !sides[0].contains(" ") {
                settings[sides[0]] = sides[1]
            } else {
                words.append(part)
            }
        }
        self.words = words
        self.settings = settings
    }

    func word(_ index: Int) throws(TraceError) -> String {
        guard words.indices.contains(index) else { throw TraceError(description: "\(verb) wants more words") }
        return words[index]
    }

    func number(_ index: Int) throws(TraceError) -> UInt64 {
        let word = try word(index)
        guard let number = UInt64(word) else { throw TraceError(description: "\(word) is no number") }
        return number
    }

    /// A failure code and a sentence, from the word at `index` on.
    func failure(_ index: Int, member: MemberName? = nil) throws(TraceError) -> Failure {
        guard let code = FailureCode(rawValue: try word(index)) else {
            throw TraceError(description: "\(words[index]) is no failure code")
        }
        return Failure(code, member: member, try word(index + 1))
    }

    func channel(_ index: Int) throws(TraceError) -> Channel {
        let ends = try word(index).split(separator: ">").map(String.init)
        guard ends.count == 2 else { throw TraceError(description: "\(words[index]) is no channel") }
        return Channel(sender: MemberName(ends[0]), receiver: MemberName(ends[1]))
    }

    /// `flush` unless the word is there; `:bleached`, `:early` behind it.
    func marker(_ index: Int) throws(TraceError) -> (kind: MarkerKind, bleached: Bool, beforeCut: Bool) {
        guard words.indices.contains(index) else { return (.flush, false, false) }
        let parts = words[index].split(separator: ":")
        guard let kind = MarkerKind(rawValue: String(parts[0])) else {
            throw TraceError(description: "\(words[index]) is no kind of marker")
        }
        return (kind, parts.contains("bleached"), parts.contains("early"))
    }

    /// The hosts named from `index` on, or all.
    func hosts(of all: [HostName], from index: Int = 0) throws(TraceError) -> [HostName] {
        let named = words.dropFirst(index).map { HostName($0) }
        if let stranger = named.first(where: { !all.contains($0) }) {
            throw TraceError(description: "there is no host \(stranger)")
        }
        return named.isEmpty ? all : named
    }
}
