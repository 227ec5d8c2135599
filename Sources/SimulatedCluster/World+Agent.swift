import SnapshotProtocol

/// The driver around a participant.
extension World {
    func tell(_ host: Int, _ event: SnapshotParticipant.Event) {
        guard hosts[host].participant != nil else { return }
        let actions = hosts[host].participant!.handle(event, at: hosts[host].tick(now))
        for action in actions { perform(action, on: host) }
        wake(host)
    }

    /// Has the machine's next tick come when it is of use.
    private func wake(_ host: Int) {
        guard let wakeAt = hosts[host].participant?.wakeAt else { return }
        if let tickAt = hosts[host].tickAt, tickAt <= wakeAt { return }
        hosts[host].tickAt = wakeAt
        hosts[host].tickNumber &+= 1
        queue.push(
            .hostTick(host: UInt8(host), number: hosts[host].tickNumber),
            at: hosts[host].time(of: wakeAt, from: now) + random.span(0, 500))
    }

    func tick(_ host: Int, _ number: UInt16) {
        guard hosts[host].tickNumber == number else { return }
        hosts[host].tickAt = nil
        tell(host, .tick)
    }

    func receive(_ command: SnapshotCommand, on host: Int, _ session: UInt16) {
        guard hosts[host].session == session, session > hosts[host].broken else { return }
        note("d\(host) is told to \(command.name)")
        switch command {
        case .prepare: hosts[host].epochSession = session
        case .abort where hosts[host].participant == nil: send(.aborted, from: host, session)
        default: break
        }
        tell(host, .command(command))
    }

    private func perform(_ action: SnapshotParticipant.Action, on host: Int) {
        switch action {
        case .prepare(let member): work(.prepared, Names.number(member.name), after: random.span(500, 3_000))
        case .armGates(let mode): startArming(host, mode)
        case .heedColour: heedColour(host)
        case .sendMarkers(let kind, let senders):
            if mutant != .markersBeforeArm || kind == .cut { sendMarkers(kind, from: senders) }
        case .cut(let name):
            let member = Names.number(name)
            // Either the gate or the hypervisor may be the one that lets wait.
            let slow = members[member].slowFreeze
            let early = slow / 1_000 % 2 == 0
            work(.cutBegun, member, after: random.span(20, 1_000) + (early ? slow : 0))
            work(.frozen, member, after: random.span(100, 2_000) + (early ? 0 : slow))
        case .stopLateLog: stopLateLog(host)
        case .releaseGates: gateWork(.released, host, after: random.span(50, 500))
        case .store(let name):
            let member = Names.number(name)
            work(.stored, member, after: random.span(3_000, 12_000) + members[member].slowImage)
        case .finish(let name): work(.finished, Names.number(name), after: random.span(200, 1_000))
        case .openGates: gateWork(.opened, host, after: random.span(20, 200))
        case .abandon(let name):
            let member = Names.number(name)
            // Cancels what goes on for the member.
            members[member].generation += 1
            members[member].lane = 0
            work(.abandoned, member, after: random.span(200, 1_500))
        case .report(let report): send(report, from: host, hosts[host].epochSession)
        case .end: end(host)
        }
    }

    private func startArming(_ host: Int, _ mode: SnapshotMode) {
        hosts[host].arming = mode
        if mutant == .markersBeforeArm {
            let here = members.indices.filter { members[$0].host == host }.map { Names.member($0) }
            sendMarkers(mode == .hold ? .flush : .probe, from: here)
        }
        let isSlow = hosts[host].gatesLive && random.chance(150)
        let delay = random.span(100, isSlow ? 10_000 : 1_500) + hosts[host].slowArm
        gateWork(.armed, host, after: mutant == .armAcknowledgedEarly ? 0 : delay)
        if mutant == .armAcknowledgedEarly { gateWork(.armedLate, host, after: delay + random.span(2_000, 10_000)) }
    }

    private func work(_ work: Work, _ member: Int, after delay: UInt64) {
        let time = max(now, members[member].lane) + delay
        members[member].lane = time
        queue.push(
            .work(
                host: UInt8(members[member].host), work, member: UInt8(member), generation: members[member].generation),
            at: time)
    }

    private func gateWork(_ work: Work, _ host: Int, after delay: UInt64) {
        let time = max(now, hosts[host].gateLane) + delay
        if work != .armedLate { hosts[host].gateLane = time }
        queue.push(.work(host: UInt8(host), work, member: 0, generation: hosts[host].boot), at: time)
    }

    func complete(_ work: Work, on host: Int, member: Int, generation: UInt16) {
        switch work {
        case .armed, .armedLate, .released, .opened:
            guard generation == hosts[host].boot else { return }
            completeGate(work, on: host)
        default:
            guard generation == members[member].generation else { return }
            completeMember(work, member)
        }
    }

    private func completeGate(_ work: Work, on host: Int) {
        switch work {
        case .armedLate: if hosts[host].participant != nil { arm(host) }
        case .armed:
            if mutant != .armAcknowledgedEarly { arm(host) }
            tell(host, .gatesArmed)
        case .released:
            let attestations = attest(host)
            open(host)
            tell(host, .gatesReleased(attestations))
        default:
            if mutant != .gateLeftClosedOnAbort { open(host) }
            tell(host, .gatesOpened)
        }
    }

    private func completeMember(_ done: Work, _ member: Int) {
        let host = members[member].host
        let name = Names.member(member)
        if !members[member].alive, done == .prepared || done == .frozen || done == .stored {
            tell(host, .failed(Failure(.machineNotRunning, member: name, "It has died.")))
            return
        }
        switch done {
        case .prepared:
            tell(
                host,
                members[member].refuses
                    ? .memberRefused(Failure(.unsupported, member: name, "It cannot be taken.")) : .memberPrepared(name)
            )
        case .cutBegun: beginCut(member)
        case .frozen:
            members[member].cutWall = hosts[host].local(now)
            freeze(member)
            if mutant != .placeAfterThaw { notePlace(member) }
            members[member].logsLate = mutant != .lateLogAfterThaw && hosts[host].logClosed == 0
            work(.thawed, member, after: random.span(300, 3_000))
        case .thawed:
            thaw(member)
            if mutant == .lateLogAfterThaw { members[member].logsLate = hosts[host].logClosed == 0 }
            if mutant == .placeAfterThaw || mutant == .colourAfterThaw {
                work(.placeNoted, member, after: random.span(300, 2_000))
            } else {
                reportCut(member)
            }
        case .placeNoted:
            if mutant == .colourAfterThaw { members[member].isColouring = true } else { notePlace(member) }
            reportCut(member)
        case .stored: store(member)
        case .finished: tell(host, .memberFinished(name))
        default:
            if mutant != .guestLeftPausedOnAbort { thaw(member) }
            tell(host, .memberAbandoned(name))
        }
    }

    private func reportCut(_ member: Int) {
        let host = members[member].host
        tell(
            host,
            .memberCut(
                MemberCut(
                    member: Names.member(member), armedAt: members[member].armedWall,
                    cutStartedAt: members[member].cutWall, cutEndedAt: hosts[host].local(now),
                    pause: now - members[member].pausedAt, method: "background")))
    }

    private func store(_ member: Int) {
        let host = members[member].host
        guard !hosts[host].diskFull, !discarded else {
            tell(host, .failed(Failure(.noSpace, member: Names.member(member), "The image cannot be written.")))
            return
        }
        members[member].stored = true
        note("m\(member) is stored")
        guard !members[member].losesAnswer else { return }
        tell(
            host,
            .memberStored(
                StoredMember(
                    member: Names.member(member), parts: [], savedAt: hosts[host].local(now), requirements: [:])))
    }

    /// The machine has ended: by its promise nothing of the epoch is left on this host.
    private func end(_ host: Int) {
        hosts[host].participant = nil
        note("d\(host) is done with the epoch")
        if now > Scenario.epochStart + scenario.longestEpoch + hosts[host].idleFor {
            violate(.nothingFrozen, "d\(host) ended only at \(Instant(now))")
        }
        if hosts[host].gatesLive { violate(.nothingFrozen, "d\(host) ended with live gates") }
        for member in members.indices where members[member].host == host && members[member].paused {
            violate(.nothingFrozen, "d\(host) ended while m\(member) is paused")
        }
    }
}
