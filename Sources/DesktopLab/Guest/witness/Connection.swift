import Glibc

/// One TCP connection to a peer. Once established it is never made again: what dies stays dead and is reported.
final class Connection {
    enum Kind: UInt8 {
        /// Numbered messages, the next one sent when the last was answered.
        case ping = 0x70
        /// Both sides send all the time.
        case bulk = 0x62

        var port: UInt16 { self == .ping ? 7001 : 7002 }
    }

    enum State: UInt8 {
        /// Nothing heard yet; may be tried again.
        case waiting = 0x77
        case open = 0x6F
        case reset = 0x72
        case closed = 0x63
    }

    private enum Limit {
        static let message = 64
        /// Bytes of a bulk stream sent or read at once.
        static let chunk = 16_384
        /// What a bulk stream may catch up with after it could not send.
        static let burst: UInt64 = 65_536
        /// Before a connection attempt is given up and another made.
        static let attempt: UInt64 = 1_000_000_000
        static let retry: UInt64 = 100_000_000
    }

    let peer: Int
    let kind: Kind
    /// The lower index connects.
    let initiates: Bool
    private let address: PeerAddress
    private let settings: Settings
    private let outgoing: Pattern
    private let incoming: Pattern

    private(set) var descriptor: Int32 = -1
    private(set) var state = State.waiting
    /// Messages of a ping-pong, bytes of a bulk stream.
    private(set) var sent: UInt64 = 0
    private(set) var received: UInt64 = 0
    private(set) var mismatches: UInt64 = 0
    private(set) var longestEver: UInt64 = 0
    private var longestOfInterval: UInt64 = 0
    private var lastHeard: UInt64 = 0
    /// When the guest was last restored, until something is heard after that.
    private var unheardSince: UInt64?
    private var heardAfter: UInt64 = 0

    private var isConnecting = false
    private var attemptedAt: UInt64 = 0
    /// When the next message or portion may be sent.
    private(set) var due: UInt64 = 0
    private var allowance: UInt64 = 0
    private var refilledAt: UInt64 = 0
    private var message = [UInt8](repeating: 0, count: Limit.message)
    /// Bytes of `message` that still have to be sent; from its end.
    private var unsent = 0
    private var inbox = [UInt8](repeating: 0, count: Limit.chunk)
    private var filled = 0
    private var awaitsReply = false
    private var chunk = [UInt8](repeating: 0, count: Limit.chunk)
    private var wantsWrite = false

    init(peer: Int, kind: Kind, settings: Settings) {
        self.peer = peer
        self.kind = kind
        self.settings = settings
        initiates = settings.index < peer
        address = PeerAddress(
            peer: peer, port: kind.port, isIPv6: settings.mixesFamilies && (peer + settings.index) % 2 == 1,
            // Both sides choose the same one, and each pair uses two where there are several.
            nic: (peer + settings.index + (kind == .bulk ? 1 : 0)) % settings.nics)
        outgoing = Pattern(stream: Connection.stream(from: settings.index, to: peer, kind))
        incoming = Pattern(stream: Connection.stream(from: peer, to: settings.index, kind))
    }

    private static func stream(from sender: Int, to receiver: Int, _ kind: Kind) -> UInt64 {
        UInt64(sender) << 32 | UInt64(receiver) << 8 | UInt64(kind.rawValue)
    }

    var interest: Int16 {
        guard descriptor >= 0 else { return 0 }
        return Int16(POLLIN) | (isConnecting || wantsWrite || unsent > 0 ? Int16(POLLOUT) : 0)
    }

    // MARK: - Being connected

    /// Takes a connection that the peer made. A later one replaces one on which nothing was heard yet.
    func adopt(_ accepted: Int32, now: UInt64) {
        guard !initiates, state == .waiting else {
            close(accepted)
            return
        }
        drop()
        descriptor = accepted
        begin(now)
    }

    private func begin(_ now: UInt64) {
        isConnecting = false
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        sent = 0
        received = 0
        filled = 0
        unsent = 0
        awaitsReply = false
        wantsWrite = false
        due = now
        refilledAt = now
        allowance = 0
        lastHeard = now
    }

    private func drop() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
        isConnecting = false
    }

    private func connectIfDue(_ now: UInt64) {
        if isConnecting, elapsed(since: attemptedAt, now) > Limit.attempt { drop() }
        guard descriptor < 0, attemptedAt == 0 || elapsed(since: attemptedAt, now) > Limit.retry else { return }
        attemptedAt = now
        descriptor = socket(address.family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { return }
        if address.withSocketAddress({ Glibc.connect(descriptor, $0, $1) }) == 0 {
            begin(now)
        } else if errno == EINPROGRESS {
            isConnecting = true
        } else {
            drop()
        }
    }

    // MARK: - Events

    func handle(events: Int16, now: UInt64) {
        guard descriptor >= 0 else { return }
        if isConnecting {
            guard events & Int16(POLLOUT | POLLERR | POLLHUP) != 0 else { return }
            var failure: Int32 = 0
            var size = socklen_t(MemoryLayout<Int32>.size)
            getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &size)
            if failure == 0 { begin(now) } else { drop() }
            return
        }
        if events & Int16(POLLIN | POLLERR | POLLHUP) != 0 { receive() }
        if events & Int16(POLLOUT) != 0 { wantsWrite = false }
    }

    /// Does what time asks for. Called once in each round, after `handle`.
    func tick(_ now: UInt64) {
        if initiates, state == .waiting, descriptor < 0 || isConnecting { connectIfDue(now) }
        guard descriptor >= 0, !isConnecting, !wantsWrite else { return }
        switch kind {
        case .ping: sendMessage(now)
        case .bulk: sendPortion(now)
        }
    }

    /// The guest was restored: silence counts from here, since nobody could be heard in between.
    func restarted(at time: UInt64) {
        lastHeard = time
        unheardSince = time
        longestOfInterval = 0
    }

    /// From the last restore to the first byte heard after it; so far, if nothing was heard yet. 0 without a restore.
    func heardAfterRestore(_ now: UInt64) -> UInt64 { unheardSince.map { elapsed(since: $0, now) } ?? heardAfter }

    private func heard() {
        let now = monotonicNow()
        if state == .waiting {
            state = .open
        } else {
            longestOfInterval = max(longestOfInterval, elapsed(since: lastHeard, now))
        }
        lastHeard = now
        if let since = unheardSince {
            heardAfter = elapsed(since: since, now)
            unheardSince = nil
        }
    }

    /// The longest silence since the last call, with the one that still lasts.
    func takeSilence(_ now: UInt64) -> UInt64 {
        guard state != .waiting else { return 0 }
        let longest = max(longestOfInterval, elapsed(since: lastHeard, now))
        longestOfInterval = 0
        longestEver = max(longestEver, longest)
        return longest
    }

    private func fail(_ end: State) {
        drop()
        if state == .open { state = end }
    }

    // MARK: - Receiving

    private func receive() {
        // Bounded, so that one busy stream does not keep the others waiting.
        for _ in 0..<4 {
            let room = kind == .ping ? Limit.message - filled : Limit.chunk
            let start = kind == .ping ? filled : 0
            let count = inbox.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress! + start, room, 0) }
            if count == 0 { return fail(.closed) }
            if count < 0 {
                if errno == EAGAIN || errno == EINTR { return }
                return fail(.reset)
            }
            heard()
            switch kind {
            case .ping:
                filled += count
                if filled == Limit.message { takeMessage() }
            case .bulk:
                inbox.withUnsafeBufferPointer {
                    mismatches += incoming.mismatches(UnsafeBufferPointer(rebasing: $0[..<count]), from: received)
                }
                received += UInt64(count)
            }
            if count < room { return }
        }
    }

    /// A message is its number in eight bytes, the lowest first, and 56 bytes that follow from the number.
    private func takeMessage() {
        filled = 0
        let number = inbox[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let expected = initiates ? sent : received + 1
        let isWhole = inbox.withUnsafeBufferPointer {
            incoming.mismatches(UnsafeBufferPointer(rebasing: $0[8..<Limit.message]), from: number &* 64) == 0
        }
        if number != expected || !isWhole { mismatches += 1 }
        received = initiates ? received + 1 : number
        if initiates {
            awaitsReply = false
        } else {
            compose(number)
            sent += 1
            flush()
        }
    }

    // MARK: - Sending

    /// Times are multiples of the interval, so that all connections wake the guest at once: waking is what costs most in
    /// an emulated one.
    private static func next(_ interval: UInt64, after now: UInt64) -> UInt64 { (now / interval + 1) * interval }

    private func sendMessage(_ now: UInt64) {
        if unsent > 0 { return flush() }
        guard initiates, !awaitsReply, now >= due else { return }
        sent += 1
        awaitsReply = true
        due = Connection.next(settings.pingInterval, after: now)
        compose(sent)
        flush()
    }

    private func compose(_ number: UInt64) {
        for place in 0..<8 { message[place] = UInt8(truncatingIfNeeded: number >> (UInt64(place) * 8)) }
        message.withUnsafeMutableBufferPointer {
            outgoing.fill(UnsafeMutableBufferPointer(rebasing: $0[8...]), from: number &* 64)
        }
        unsent = Limit.message
    }

    private func flush() {
        guard descriptor >= 0 else { return }
        let count = message.withUnsafeBytes {
            send(descriptor, $0.baseAddress! + Limit.message - unsent, unsent, Int32(MSG_NOSIGNAL))
        }
        if count >= 0 {
            unsent -= count
        } else if errno != EAGAIN, errno != EINTR {
            fail(.reset)
        }
    }

    private func sendPortion(_ now: UInt64) {
        guard settings.rate > 0, now >= due else { return }
        due = Connection.next(settings.bulkInterval, after: now)
        allowance = min(allowance + elapsed(since: refilledAt, now) * settings.rate / 1_000_000_000, Limit.burst)
        refilledAt = now
        while allowance > 0 {
            let size = Int(min(allowance, UInt64(Limit.chunk)))
            chunk.withUnsafeMutableBufferPointer {
                outgoing.fill(UnsafeMutableBufferPointer(rebasing: $0[..<size]), from: sent)
            }
            let count = chunk.withUnsafeBytes {
                send(descriptor, $0.baseAddress!, size, Int32(MSG_NOSIGNAL))
            }
            if count < 0 {
                if errno == EAGAIN || errno == EINTR {
                    wantsWrite = true
                    return
                }
                return fail(.reset)
            }
            sent += UInt64(count)
            allowance -= UInt64(count)
        }
    }
}
