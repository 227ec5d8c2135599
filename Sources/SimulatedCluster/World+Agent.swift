import SnapshotProtocol

/// The driver around a participant.
extension World {
    func tell(_ host: Int, _ event: SnapshotParticipant.Event) {
        guard hosts[host].participant != nil else { return }
        let actions = hosts[host].participant!.handle(event, at: hosts[host].tick(now))
        for action in actions { perform(action, on: host) }
    }

    func receive(_ command: SnapshotCommand, on host: Int, _ session: UInt16) {
        guard hosts[host].session == session, session > hosts[host].broken else { return }
        note("d\(host) is told to \(command.name)")
        switch command {
        case .prepare: hosts[host].epochSession = session
        case .flush: queue.push(.hostTick(host: UInt8(host)), at: now + hosts[host].span(Scenario.flushBound))
        case .abort where hosts[host].participant == nil: send(.aborted, from: host, session)
        default: break
        }
        tell(host, .command(command))
    }

    private func perform(_ action: SnapshotParticipant.Action, on host: Int) {
        switch action {
        case .prepare(let member): work(.prepared, Names.number(member.name), after: random.span(500, 3_000))
        case .armGates: startArming(host)
        case .heedColour: break
        case .sendMarkers: if mutant != .markersBeforeArm { sendMarkers(from: host) }
        case .cut(let name):
            let member = Names.number(name)
            work(.frozen, member, after: random.span(100, 2_000) + members[member].slowFreeze)
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

    private func startArming(_ host: Int) {
        if mutant == .markersBeforeArm { sendMarkers(from: host) }
        let delay = random.span(100, 1_500) + hosts[host].slowArm
        gateWork(.armed, host, after: mutant == .armAcknowledgedEarly ? 0 : delay)
        if mutant == .armAcknowledgedEarly { gateWork(.armedLate, host, after: delay + random.span(2_000, 10_000)) }
    }

    private func sendMarkers(from host: Int) {
        for sender in members.indices where members[sender].host == host {
            for receiver in members.indices where receiver != sender { emit(sender, receiver, .marker, 0) }
        }
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
        case .frozen:
            members[member].cutWall = hosts[host].local(now)
            freeze(member)
            if mutant != .placeAfterThaw { notePlace(member) }
            members[member].logsLate = mutant != .lateLogAfterThaw && hosts[host].logClosed == 0
            work(.thawed, member, after: random.span(300, 3_000))
        case .thawed:
            thaw(member)
            if mutant == .lateLogAfterThaw { members[member].logsLate = hosts[host].logClosed == 0 }
            if mutant == .placeAfterThaw {
                work(.placeNoted, member, after: random.span(300, 2_000))
            } else {
                reportCut(member)
            }
        case .placeNoted:
            notePlace(member)
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
        if now > Scenario.epochStart + Scenario.longestEpoch + hosts[host].idleFor {
            violate(.nothingFrozen, "d\(host) ended only at \(Instant(now))")
        }
        if hosts[host].gateClosed { violate(.nothingFrozen, "d\(host) ended with closed gates") }
        for member in members.indices where members[member].host == host && members[member].paused {
            violate(.nothingFrozen, "d\(host) ended while m\(member) is paused")
        }
    }

    private func send(_ report: SnapshotReport, from host: Int, _ session: UInt16) {
        var report = report
        if mutant == .missingMarkersHidden, case .flushed(let mode, _, _) = report { report = .flushed(mode) }
        // A session that the agent has closed takes nothing more.
        guard session == hosts[host].session, session > hosts[host].broken else { return }
        if hosts[host].losesReport {
            hosts[host].losesReport = false
            note("a report of d\(host) is lost: \(report)")
            return
        }
        let arrival = controlArrival(host, after: hosts[host].lastReport)
        hosts[host].lastReport = arrival
        post(report, of: plan.epoch, from: host, session, at: arrival)
        guard hosts[host].doublesReport else { return }
        hosts[host].doublesReport = false
        post(report, of: plan.epoch, from: host, session, at: arrival + random.span(100, 40_000))
    }

    func post(_ report: SnapshotReport, of epoch: Epoch, from host: Int, _ session: UInt16, at time: UInt64) {
        reports.append((report, epoch))
        queue.push(.report(host: UInt8(host), message: Int32(reports.count - 1), session: session), at: time)
    }
}
