import SnapshotProtocol

/// What comes for members, on its way through their gates.
extension World {
    /// Something comes out of the wire at its receiver's host. While an epoch runs it passes through the agent, so it
    /// waits while the agent does not run.
    func arrive(_ what: Happening, at host: Int) {
        guard hosts[host].gatesLive, hosts[host].agentAlive,
            hosts[host].frozenUntil > now || !hosts[host].backlog.isEmpty
        else { return takeIn(what) }
        if hosts[host].backlog.isEmpty {
            queue.push(.ingressTurn(host: UInt8(host)), at: hosts[host].frozenUntil)
        }
        hosts[host].backlog.append(what)
    }

    /// What is in the socket arrived before whatever the gate is told next.
    func takeBacklog(_ host: Int) {
        guard !hosts[host].backlog.isEmpty else { return }
        let backlog = hosts[host].backlog
        hosts[host].backlog = []
        for what in backlog { takeIn(what) }
    }

    func dropBacklog(_ host: Int) {
        for case .arrive(let packet, _) in hosts[host].backlog { packets[Int(packet)].lost += 1 }
        hosts[host].backlog = []
    }

    private func takeIn(_ what: Happening) {
        switch what {
        case .arrive(let packet, let coloured): takeIn(packet, coloured: coloured)
        case .marker(let from, let to, let kind, let coloured, let foreign):
            guard !foreign || mutant == .foreignMarkerAccepted else { return }
            takeIn(kind, Int(from), Int(to), coloured: coloured)
        default: break
        }
    }

    private func takeIn(_ kind: MarkerKind, _ from: Int, _ to: Int, coloured: Bool) {
        let host = members[to].host
        let bleached = kind != .flush && !coloured
        note("marker \(kind.rawValue) m\(from)>m\(to) arrives\(bleached ? " bleached" : "")")
        let pair = from * memberCount + to
        if kind == .cut, hosts[host].gatesLive, drained[pair] == 0 { drained[pair] = nextStep() }
        if kind == .cut, coloured, members[to].hasPlace { proven[pair] = true }
        let beforeCut = kind == .cut && !members[to].hasPlace && mutant != .earlyMarkerProves
        tell(host, .markerArrived(channel(from, to), kind, bleached: bleached, beforeCut: beforeCut))
    }

    private func takeIn(_ index: Int32, coloured: Bool) {
        if packets[Int(index)].arrived == 0 { packets[Int(index)].arrived = nextStep() }
        let from = Int(packets[Int(index)].from)
        let member = Int(packets[Int(index)].to)
        guard members[member].alive else { return }
        let isState = isState(from, member, coloured: coloured)
        if mustWait(from, member, coloured: coloured) {
            note("\(describe(index)) waits for the cut of m\(member)")
            if coloured, hosts[members[member].host].mode == .colour { members[member].heldColoured += 1 }
            members[member].waiting.append(Waiting(packet: index, since: now, isState: isState))
            return
        }
        if members[member].logsLate, isState, !forgets(member) {
            members[member].lateLog.append(index)
            note("\(describe(index)) is logged late")
            if mutant == .lateSegmentsSwallowed { return }
        }
        reach(index, member)
    }

    private func forgets(_ member: Int) -> Bool {
        mutant == .lateSegmentsNotLogged
            || mutant == .uncolouredLateNotLogged && hosts[members[member].host].mode == .colour
    }

    /// Whether a segment that comes now was emitted before its sender's cut.
    private func isState(_ from: Int, _ member: Int, coloured: Bool) -> Bool {
        guard hosts[members[member].host].mode == .colour else { return true }
        return (!coloured || mutant == .colouredLogged)
            && (drained[from * memberCount + member] == 0 || mutant == .logNotClosedByMarker)
    }

    private func mustWait(_ from: Int, _ member: Int, coloured: Bool) -> Bool {
        let host = members[member].host
        guard members[member].gated, !hosts[host].leaky else { return false }
        let heeds = coloured && hosts[host].mode == .colour && hosts[host].heedsColour
        guard !members[member].hasPlace else { return heeds && mutant == .colouredHeldUntilRelease }
        if mutant == .holdForgotten, coloured { return false }
        if mutant == .colouredTakenForCommand, heeds {
            tell(host, .markerArrived(channel(from, member), .cut, beforeCut: true))
        }
        return members[member].cutBegun || heeds
    }

    private func channel(_ from: Int, _ to: Int) -> Channel {
        Channel(sender: Names.member(from), receiver: Names.member(to))
    }

    private func reach(_ index: Int32, _ member: Int) {
        if members[member].paused {
            members[member].tap.append(index)
        } else {
            take(index, member)
        }
    }

    // MARK: What waits

    /// Of what waits at the place, logs what its sender emitted before its own cut.
    func recordWaiting(_ member: Int) {
        for entry in members[member].waiting where entry.isState {
            members[member].lateLog.append(entry.packet)
            note("\(describe(entry.packet)) is logged late")
        }
    }

    func deliverWaiting(_ member: Int) {
        guard !members[member].waiting.isEmpty else { return }
        let waiting = members[member].waiting
        members[member].waiting = []
        for entry in waiting {
            checkWait(entry, member)
            reach(entry.packet, member)
        }
    }

    func dropWaiting(_ member: Int) {
        for entry in members[member].waiting { packets[Int(entry.packet)].lost += 1 }
        members[member].waiting = []
    }

    /// In colour mode nobody waits for a member that is slow to be cut, but who has to do with it.
    private func checkWait(_ entry: Waiting, _ member: Int) {
        let packet = packets[Int(entry.packet)]
        guard let slow = slowMember, hosts[members[member].host].mode == .colour, member != slow,
            Int(packet.from) != slow, now - entry.since > Scenario.ownPause
        else { return }
        // On a path that reorders, a guest's own bit from before the arming may come after the probes.
        guard scenario.fifo || !packet.coloured || packet.afterCut else { return }
        violate(
            .progress, "\(describe(entry.packet)) waits for \(Instant(now - entry.since)), though only m\(slow) is slow"
        )
    }
}
