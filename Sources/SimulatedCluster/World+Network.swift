import SnapshotProtocol

/// The wire between the members.
extension World {
    func transmit(_ index: Int32, after delay: UInt64 = 0) {
        let packet = packets[Int(index)]
        let from = Int(packet.from)
        let to = Int(packet.to)
        guard carries(from, to) else {
            packets[Int(index)].lost += 1
            note("\(describe(index)) is lost")
            return
        }
        schedule(index, from, to, after: delay)
        if random.chance(scenario.duplication) {
            packets[Int(index)].copies += 1
            schedule(index, from, to, after: delay)
        }
    }

    /// On every channel whose sender is one of these.
    func sendMarkers(_ kind: MarkerKind, from senders: [MemberName]) {
        for name in senders {
            let sender = Names.number(name)
            guard !members[sender].deaf else { continue }
            for receiver in members.indices where receiver != sender {
                guard !members[sender].losesMarkers, carries(sender, receiver) else {
                    note("marker \(kind.rawValue) m\(sender)>m\(receiver) is lost")
                    continue
                }
                schedule(kind, sender, receiver)
                if random.chance(scenario.duplication) { schedule(kind, sender, receiver) }
            }
        }
    }

    private func carries(_ from: Int, _ to: Int) -> Bool {
        if members[from].host != members[to].host, isCutOff(members[from].host) || isCutOff(members[to].host) {
            return false
        }
        return !random.chance(scenario.loss)
    }

    private func isCutOff(_ host: Int) -> Bool { hosts[host].cutOff.from <= now && now < hosts[host].cutOff.to }

    private func schedule(_ index: Int32, _ from: Int, _ to: Int, after delay: UInt64) {
        let arrival = arrival(from, to) + delay
        let coloured = packets[Int(index)].coloured && keepsColour(from, to, until: arrival)
        queue.push(.arrive(packet: index, coloured: coloured), at: arrival)
    }

    private func schedule(_ kind: MarkerKind, _ from: Int, _ to: Int) {
        let arrival = arrival(from, to)
        let coloured = kind != .flush && keepsColour(from, to, until: arrival)
        queue.push(
            .marker(from: UInt8(from), to: UInt8(to), kind, coloured: coloured, foreign: false), at: arrival)
    }

    /// When what is sent now on this channel arrives.
    private func arrival(_ from: Int, _ to: Int) -> UInt64 {
        let apart = members[from].host != members[to].host
        let delay = apart ? random.span(50, scenario.delay) + hosts[members[to].host].pathDelay : random.span(10, 60)
        guard scenario.fifo else { return now + delay }
        let pair = from * memberCount + to
        lastArrival[pair] = max(now + delay, lastArrival[pair] + 1)
        return lastArrival[pair]
    }

    /// What takes the colour off stands near the sender or near the receiver. On a path that reorders it stands near the
    /// receiver: before the reordering it could strike a segment that overtakes a marker, and no marker would show it.
    private func keepsColour(_ from: Int, _ to: Int, until arrival: UInt64) -> Bool {
        let pair = from * memberCount + to
        let passage = scenario.bleachesEarly ? now : arrival
        return passage >= bleachedUntil[pair] && passage < bleachedFrom[pair]
    }

    /// A segment that the gate of an epoch given up earlier has coloured is still under way.
    func sendStaleColour(_ from: Int, _ to: Int) {
        guard !members[from].gated, members[from].alive else { return }
        let index = Int32(packets.count)
        packets.append(
            Packet(from: UInt8(from), to: UInt8(to), kind: .datagram, number: 0, emitted: nextStep(), afterCut: false))
        packets[Int(index)].coloured = true
        note("\(describe(index)) is under way with the colour of an earlier epoch")
        let pair = from * memberCount + to
        // On a path in order it is slow for all that follows; on others it is overtaken.
        if scenario.fifo { lastArrival[pair] = max(lastArrival[pair], now + random.span(0, 12_000)) }
        transmit(index, after: scenario.fifo ? 0 : random.span(0, 30_000))
    }

    func describe(_ index: Int32) -> String {
        let packet = packets[Int(index)]
        let number = packet.kind == .datagram ? "" : " \(packet.number)"
        return "#\(index) m\(packet.from)>m\(packet.to) \(packet.kind.rawValue)\(number)"
            + (packet.coloured ? " coloured" : "") + (packet.afterCut ? " (after cut)" : "")
    }
}
