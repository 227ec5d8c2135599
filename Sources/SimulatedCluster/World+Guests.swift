/// The members' applications and their TCP.
extension World {
    func write(_ from: Int, _ to: Int, _ what: Happening) {
        guard canRun(from, what) else { return }
        let pair = from * memberCount + to
        let number = streams[pair].written
        streams[pair].written += 1
        emit(from, to, .data, number)
        startTimer(pair, after: 60_000_000)
    }

    func sendDatagram(_ from: Int, _ to: Int, _ what: Happening) {
        guard canRun(from, what) else { return }
        emit(from, to, .datagram, 0)
    }

    func retransmit(_ from: Int, _ to: Int, _ una: UInt16, _ what: Happening) {
        guard canRun(from, what) else { return }
        let pair = from * memberCount + to
        timerRuns[pair] = false
        guard streams[pair].acknowledged < streams[pair].written else {
            attempts[pair] = 0
            return
        }
        if streams[pair].acknowledged > una {
            attempts[pair] = 0
        } else {
            attempts[pair] += 1
            guard attempts[pair] < 12 else { return }
            emit(from, to, .data, streams[pair].acknowledged)
        }
        startTimer(pair, after: 60_000_000 << UInt64(min(attempts[pair], 3)))
    }

    /// A packet reaches the guest.
    func deliver(_ index: Int32) {
        let packet = packets[Int(index)]
        if packet.delivered == 0 { packets[Int(index)].delivered = nextStep() }
        note("\(describe(index)) is delivered")
        let from = Int(packet.from)
        let to = Int(packet.to)
        switch packet.kind {
        case .data:
            _ = streams[from * memberCount + to].receive(packet.number)
            emit(to, from, .ack, streams[from * memberCount + to].next)
        case .ack: streams[to * memberCount + from].acknowledge(packet.number)
        case .datagram: break
        }
    }

    /// Freezes the guest and takes its state: the cut.
    func freeze(_ member: Int) {
        members[member].paused = true
        members[member].pausedAt = now
        members[member].cut = nextStep()
        note("m\(member) is cut")
        for peer in 0..<memberCount where peer != member {
            let out = member * memberCount + peer
            images[out].written = streams[out].written
            images[out].acknowledged = streams[out].acknowledged
            let into = peer * memberCount + member
            images[into].next = streams[into].next
            images[into].ahead = streams[into].ahead
        }
        // The image holds what the guest has in its memory, and the restored guest looks at it.
        for index in members[member].ring {
            let packet = packets[Int(index)]
            switch packet.kind {
            case .data: _ = images[Int(packet.from) * memberCount + member].receive(packet.number)
            case .ack: images[member * memberCount + Int(packet.from)].acknowledge(packet.number)
            default: break
            }
        }
    }

    func thaw(_ member: Int) {
        guard members[member].paused else { return }
        members[member].paused = false
        note("m\(member) runs again")
        if now - members[member].pausedAt > Scenario.longestPause + hosts[members[member].host].idleFor {
            violate(.nothingFrozen, "m\(member) was paused for \(Instant(now - members[member].pausedAt))")
        }
        guard members[member].alive else { return }
        let waiting = members[member].tap
        members[member].tap = []
        if members[member].stalledUntil <= now { empty(member) }
        for packet in waiting { take(packet, member) }
        for what in members[member].deferred { queue.push(what, at: now + random.span(1, 40)) }
        members[member].deferred = []
    }

    /// A packet enters the memory of a guest that is not paused. One whose processors stand still looks at it later.
    func take(_ index: Int32, _ member: Int) {
        guard members[member].stalledUntil > now else { return deliver(index) }
        if packets[Int(index)].delivered == 0 { packets[Int(index)].delivered = nextStep() }
        note("\(describe(index)) waits in the memory of m\(member)")
        members[member].ring.append(index)
    }

    func resume(_ member: Int) {
        guard !members[member].paused, members[member].stalledUntil <= now else { return }
        empty(member)
    }

    private func empty(_ member: Int) {
        guard members[member].alive else { return }
        let waiting = members[member].ring
        members[member].ring = []
        for packet in waiting { deliver(packet) }
    }

    private func canRun(_ member: Int, _ what: Happening) -> Bool {
        guard members[member].alive else { return false }
        guard members[member].paused || members[member].stalledUntil <= now else {
            queue.push(what, at: members[member].stalledUntil)
            return false
        }
        guard members[member].paused else { return true }
        members[member].deferred.append(what)
        return false
    }

    private func startTimer(_ pair: Int, after delay: UInt64) {
        guard !timerRuns[pair] else { return }
        timerRuns[pair] = true
        queue.push(
            .retransmit(
                from: UInt8(pair / memberCount), to: UInt8(pair % memberCount), una: streams[pair].acknowledged),
            at: now + delay)
    }
}
