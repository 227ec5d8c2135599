import SnapshotProtocol

/// The gates, one per member, armed and opened for a whole host at once.
extension World {
    func arm(_ host: Int) {
        if hosts[host].gatesLive {
            guard mutant != .gatesNotRearmed else { return }
            fallBack(host)
        }
        hosts[host].mode = hosts[host].arming
        hosts[host].gatesLive = true
        hosts[host].armedAt = now
        hosts[host].generation += 1
        note("gates of d\(host) are armed: \(hosts[host].mode.rawValue)")
        var armed = false
        for member in members.indices where members[member].host == host {
            members[member].armedWall = hosts[host].local(now)
            if mutant == .oneMemberGated, armed { continue }
            armed = true
            members[member].gated = true
        }
        queue.push(
            .watchdog(host: UInt8(host), generation: hosts[host].generation),
            at: now + hosts[host].span(budget(host)))
    }

    /// What is in the sockets was emitted before; from now on all is held.
    private func fallBack(_ host: Int) {
        takeBacklog(host)
        hosts[host].heedsColour = false
        for member in members.indices where members[member].host == host {
            letGo(member)
            deliverWaiting(member)
        }
    }

    private func budget(_ host: Int) -> UInt64 {
        hosts[host].mode == .hold ? plan.holdBudget : plan.colourBudget
    }

    func heedColour(_ host: Int) {
        takeBacklog(host)
        hosts[host].heedsColour = mutant != .heedAfterCut
    }

    func beginCut(_ member: Int) {
        guard members[member].gated else { return }
        takeBacklog(members[member].host)
        members[member].cutBegun = true
    }

    /// The cut's place. What is held before it, or arrives after it and was emitted before its sender's, is channel
    /// state; what is emitted after it has the colour.
    func notePlace(_ member: Int) {
        let host = members[member].host
        takeBacklog(host)
        members[member].cutMode = hosts[host].mode
        guard members[member].gated else { return }
        letGo(member)
        members[member].hasPlace = true
        if hosts[host].mode == .hold {
            members[member].place = members[member].held.count
            if mutant != .heldLogForgotten { members[member].heldLog = members[member].held }
        } else {
            members[member].isColouring = mutant != .colourAfterThaw
            if mutant == .heedAfterCut { hosts[host].heedsColour = true }
        }
        recordWaiting(member)
        deliverWaiting(member)
    }

    func stopLateLog(_ host: Int) {
        takeBacklog(host)
        if hosts[host].logClosed == 0 { hosts[host].logClosed = nextStep() }
        guard mutant != .lateLogLeftOpen else { return }
        closeLateLog(host)
    }

    private func closeLateLog(_ host: Int) {
        for member in members.indices where members[member].host == host { members[member].logsLate = false }
    }

    /// Lets everything go on that waits, in order, and from now on whatever comes.
    func open(_ host: Int, dropping: Bool = false) {
        if dropping { dropBacklog(host) } else { takeBacklog(host) }
        if hosts[host].logClosed == 0 { hosts[host].logClosed = nextStep() }
        closeLateLog(host)
        guard hosts[host].gatesLive else { return }
        hosts[host].gatesLive = false
        hosts[host].heedsColour = false
        note("gates of d\(host) open")
        let longest = hosts[host].span(budget(host)) + hosts[host].idleFor + 3_000_000
        if now - hosts[host].armedAt > longest {
            violate(.nothingFrozen, "the gates of d\(host) were live for \(Instant(now - hosts[host].armedAt))")
        }
        if mutant == .ruleLeftBehind, let first = members.firstIndex(where: { $0.host == host }) {
            members[first].deaf = true
        }
        for member in members.indices where members[member].host == host {
            if !dropping { letGo(member) }
            members[member].gated = false
            members[member].isColouring = false
            members[member].cutBegun = false
            if dropping { dropWaiting(member) } else { deliverWaiting(member) }
            sendOut(member, dropping: dropping)
        }
    }

    func watchdog(_ host: Int, _ generation: UInt16) {
        guard hosts[host].gatesLive, hosts[host].generation == generation else { return }
        note("the watchdog of d\(host) fires")
        open(host)
        guard mutant != .silentWatchdog else { return }
        hosts[host].watchdogFired = true
        tell(host, .failed(Failure(.gateBroken, "The watchdog opened the gates.")))
    }

    func attest(_ host: Int) -> [GateAttestation] {
        takeBacklog(host)
        let state = hosts[host]
        return members.indices.filter { members[$0].host == host }.map { number in
            let member = members[number]
            let fine = mutant == .attestationIgnored
            return GateAttestation(
                member: Names.member(number), held: state.mode == .hold ? member.heldInAll : member.heldColoured,
                heldBeforeCut: UInt64(member.place), logged: UInt64(member.heldLog.count + member.lateLog.count),
                overflowed: fine ? 0 : member.overflowed, foreignChanges: fine ? 0 : state.foreignChanges,
                unbroken: fine || !state.leaky, watchdogFired: !fine && state.watchdogFired,
                releasedAt: state.local(now), holdTime: now - state.armedAt)
        }
    }
}
