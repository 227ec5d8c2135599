import SnapshotProtocol

/// The gates, one per member, armed and opened for a whole host at once.
extension World {
    func hold(_ index: Int32, by member: Int) {
        members[member].heldInAll += 1
        if members[member].queueBroken {
            members[member].overflowed += 1
            packets[Int(index)].lost += 1
            note("\(describe(index)) overflows the queue")
            return
        }
        packets[Int(index)].held = true
        members[member].held.append(index)
        note("\(describe(index)) is held")
    }

    func arm(_ host: Int) {
        hosts[host].gateClosed = true
        hosts[host].armedAt = now
        hosts[host].generation += 1
        note("gates of d\(host) are closed")
        var armed = false
        for member in members.indices where members[member].host == host {
            members[member].armedWall = hosts[host].local(now)
            if mutant == .oneMemberGated, armed { continue }
            armed = true
            members[member].gated = true
        }
        queue.push(
            .watchdog(host: UInt8(host), generation: hosts[host].generation),
            at: now + hosts[host].span(Scenario.holdBudget))
    }

    /// The cut's place in the held queue: what is before it is channel state.
    func notePlace(_ member: Int) {
        members[member].place = members[member].held.count
        guard mutant != .heldLogForgotten else { return }
        members[member].heldLog = members[member].held
    }

    func stopLateLog(_ host: Int) {
        if hosts[host].logClosed == 0 { hosts[host].logClosed = nextStep() }
        guard mutant != .lateLogLeftOpen else { return }
        closeLateLog(host)
    }

    private func closeLateLog(_ host: Int) {
        for member in members.indices where members[member].host == host { members[member].logsLate = false }
    }

    /// Sends out what is held, in the order of emission, and lets everything pass.
    func open(_ host: Int, dropping: Bool = false) {
        if hosts[host].logClosed == 0 { hosts[host].logClosed = nextStep() }
        closeLateLog(host)
        guard hosts[host].gateClosed else { return }
        hosts[host].gateClosed = false
        note("gates of d\(host) open")
        let longest = hosts[host].span(Scenario.holdBudget) + hosts[host].idleFor + 3_000_000
        if now - hosts[host].armedAt > longest {
            violate(.nothingFrozen, "d\(host) held for \(Instant(now - hosts[host].armedAt))")
        }
        if mutant == .ruleLeftBehind, let first = members.firstIndex(where: { $0.host == host }) {
            members[first].deaf = true
        }
        for member in members.indices where members[member].host == host {
            members[member].gated = false
            if mutant == .wholeQueueLogged { members[member].heldLog = members[member].held }
            let held = members[member].held
            members[member].held = []
            var previous: Int32 = -1
            for index in mutant == .releaseOutOfOrder ? held.reversed() : held {
                if dropping {
                    packets[Int(index)].lost += 1
                    packets[Int(index)].held = false
                    continue
                }
                if mutant == .heldDroppedOnAbort, outcome != nil || !isReleasing(host) { continue }
                if index < previous {
                    violate(.openForTraffic, "\(describe(index)) leaves the gate after a later one")
                }
                previous = index
                packets[Int(index)].held = false
                transmit(index)
            }
        }
    }

    private func isReleasing(_ host: Int) -> Bool { hosts[host].participant?.phase == .releasing }

    func watchdog(_ host: Int, _ generation: UInt16) {
        guard hosts[host].gateClosed, hosts[host].generation == generation else { return }
        note("the watchdog of d\(host) fires")
        open(host)
        guard mutant != .silentWatchdog else { return }
        hosts[host].watchdogFired = true
        tell(host, .failed(Failure(.gateBroken, "The watchdog opened the gates.")))
    }

    func attest(_ host: Int) -> [GateAttestation] {
        let state = hosts[host]
        return members.indices.filter { members[$0].host == host }.map { number in
            let member = members[number]
            let fine = mutant == .attestationIgnored
            return GateAttestation(
                member: Names.member(number), held: member.heldInAll, heldBeforeCut: UInt64(member.place),
                logged: UInt64(member.heldLog.count + member.lateLog.count),
                overflowed: fine ? 0 : member.overflowed, foreignChanges: fine ? 0 : state.foreignChanges,
                unbroken: fine || !state.leaky, watchdogFired: !fine && state.watchdogFired,
                releasedAt: state.local(now), holdTime: now - state.armedAt)
        }
    }
}
