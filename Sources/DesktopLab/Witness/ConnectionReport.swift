/// What one end of a witness's TCP connection says of it.
package struct ConnectionReport: Hashable, Sendable, Codable {
    package enum Kind: String, Sendable, Codable {
        /// Numbered messages and their answers; counted in messages.
        case ping = "p"
        /// A stream in each direction whose bytes follow from their position; counted in bytes.
        case bulk = "b"
    }

    package enum State: String, Sendable, Codable {
        case waiting = "w"
        case open = "o"
        case reset = "r"
        case closed = "c"
    }

    /// Index of the other end's machine, from 1.
    package var peer: Int
    package var kind: Kind
    package var state: State
    package var sent: UInt64
    package var received: UInt64
    /// Bytes (bulk) or messages (ping) that were not what they had to be.
    package var mismatches: UInt64
    /// Longest time without a byte from the peer since the report before, in milliseconds of guest time; a silence
    /// that still lasts counts with all of its length so far. Starts anew at a restore.
    package var silence: UInt64
    /// The longest silence ever, in milliseconds of guest time.
    package var longestSilence: UInt64
    /// From the last restore to the first byte from the peer after it, in milliseconds of guest time; so far, if there
    /// was none yet. 0 without a restore.
    package var heardAfter: UInt64

    package init(
        peer: Int, kind: Kind, state: State, sent: UInt64, received: UInt64, mismatches: UInt64, silence: UInt64,
        longestSilence: UInt64, heardAfter: UInt64
    ) {
        self.peer = peer
        self.kind = kind
        self.state = state
        self.sent = sent
        self.received = received
        self.mismatches = mismatches
        self.silence = silence
        self.longestSilence = longestSilence
        self.heardAfter = heardAfter
    }

    /// Reads `PEER KIND STATE SENT,RECEIVED,MISMATCHES,SILENCE,LONGEST,HEARD`, written without the blanks.
    init?(_ text: Substring) {
        let digits = text.prefix(while: \.isNumber)
        let letters = text.dropFirst(digits.count).prefix(2)
        let numbers = text.dropFirst(digits.count + 2).split(separator: ",", omittingEmptySubsequences: false)
            .compactMap { UInt64($0) }
        guard let peer = Int(digits), letters.count == 2, numbers.count == 6,
            let kind = Kind(rawValue: String(letters.prefix(1))),
            let state = State(rawValue: String(letters.suffix(1)))
        else { return nil }
        self.init(
            peer: peer, kind: kind, state: state, sent: numbers[0], received: numbers[1], mismatches: numbers[2],
            silence: numbers[3], longestSilence: numbers[4], heardAfter: numbers[5])
    }
}
