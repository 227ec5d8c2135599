import SnapshotProtocol

/// The driver around a restore's participant.
extension World {
    func tellRestore(_ host: Int, _ event: RestoreParticipant.Event) {
        guard restoring.hosts[host].participant != nil else { return }
        if case .managerLost = event { missEnd(host) }
        for action in restoring.hosts[host].participant!.handle(event) { perform(action, on: host) }
    }

    func receiveRestore(_ message: Int, on host: Int, _ session: UInt16) {
        guard hosts[host].session == session, session > hosts[host].broken else { return }
        let command = restoring.commands[message]
        note("d\(host) is told to \(name(of: command))")
        if case .fence = command, restoring.hosts[host].participant == nil {
            restoring.hosts[host].participant = RestoreParticipant(host: Names.host(host))
            restoring.hosts[host].session = session
        }
        if restoring.hosts[host].participant != nil {
            tellRestore(host, .command(command))
        } else if case .discard = command {
            send(.discarded, from: host, session)
        }
    }

    private func name(of command: RestoreCommand) -> String {
        switch command {
        case .fence: "fence"
        case .discard: "discard"
        case .load, .replay, .open, .start, .finish: "\(command)"
        }
    }

    private func perform(_ action: RestoreParticipant.Action, on host: Int) {
        switch action {
        case .fence:
            fenceWork(.fenceStands, host, after: random.span(200, 3_000))
            fenceWork(.originalsStopped, host, after: random.span(500, 15_000))
        case .load(let member):
            let number = Names.number(member.name)
            // Longer, all together, than any packet is under way.
            let delay = random.span(number == 0 ? 45_000 : 5_000, 120_000) + restoring.members[number].slowLoad
            restoreWork(.loaded, number, after: delay)
        case .replay(let member): restoreWork(.replayed, Names.number(member.name), after: random.span(300, 4_000))
        case .open: fenceWork(.opened, host, after: random.span(200, 2_000))
        case .start(let name): restoreWork(.started, Names.number(name), after: random.span(100, 2_000))
        case .discard(let name):
            let number = Names.number(name)
            // Cancels what goes on for the member.
            restoring.members[number].generation += 1
            restoring.members[number].lane = 0
            restoreWork(.discarded, number, after: random.span(300, 4_000))
        case .liftFence: fenceWork(.lifted, host, after: random.span(100, 2_000))
        case .report(let report): send(report, from: host, restoring.hosts[host].session)
        case .commit:
            for number in restoring.members.indices where restoring.members[number].home == host {
                restoring.members[number].committed = true
            }
        case .end: endRestore(host)
        }
    }

    private func restoreWork(_ work: RestoreWork, _ member: Int, after delay: UInt64) {
        let time = max(now, restoring.members[member].lane) + delay
        restoring.members[member].lane = time
        queue.push(
            .restoreWork(
                host: UInt8(restoring.members[member].home), work, member: UInt8(member),
                generation: restoring.members[member].generation), at: time)
    }

    private func fenceWork(_ work: RestoreWork, _ host: Int, after delay: UInt64) {
        let time = max(now, restoring.hosts[host].lane) + delay
        restoring.hosts[host].lane = time
        queue.push(.restoreWork(host: UInt8(host), work, member: 0, generation: hosts[host].boot), at: time)
    }

    func complete(_ work: RestoreWork, on host: Int, member: Int, generation: UInt16) {
        switch work {
        case .fenceStands, .originalsStopped, .opened, .lifted:
            guard generation == hosts[host].boot else { return }
            completeFence(work, on: host)
        case .loaded, .replayed, .started, .discarded:
            guard generation == restoring.members[member].generation else { return }
            completeMember(work, member, on: host)
        }
    }

    private func completeFence(_ work: RestoreWork, on host: Int) {
        let originals = members.indices.filter { members[$0].host == host && restoring.members[$0].original }
        switch work {
        case .fenceStands:
            guard scenario.replaceRunning || originals.isEmpty else { return }
            restoring.hosts[host].fenced = mutant != .fenceForgotten
            note("the fence of d\(host) stands")
        case .originalsStopped:
            guard scenario.replaceRunning || originals.isEmpty else {
                let failures = originals.map {
                    Failure(.originalsRunning, member: Names.member($0), "It runs and is not to be replaced.")
                }
                tellRestore(host, .originalsRunning(failures))
                return
            }
            if mutant != .originalLeftRunning {
                for number in originals { restoring.members[number].original = false }
            }
            restoring.hosts[host].wasFenced = true
            tellRestore(host, .fenced)
        case .opened:
            restoring.hosts[host].fenced = false
            tellRestore(host, .opened)
        default:
            restoring.hosts[host].fenced = false
            note("the fence of d\(host) is lifted")
            tellRestore(host, .fenceLifted)
        }
    }

    private func completeMember(_ work: RestoreWork, _ member: Int, on host: Int) {
        let name = Names.member(member)
        switch work {
        case .loaded:
            guard !restoring.members[member].loadFails else {
                tellRestore(host, .failed(Failure(.snapshotDamaged, member: name, "It cannot be loaded.")))
                return
            }
            note("m\(member) is loaded on d\(host)")
            restoring.members[member].state = .paused
            restoring.members[member].wasLoaded = true
            checkTimelines("m\(member) is loaded")
            if mutant == .startedWhenLoaded { start(member) }
            if mutant == .fenceLiftedWhenLoaded { restoring.hosts[host].fenced = false }
            tellRestore(host, .memberLoaded(name))
        case .replayed:
            var count = replay(to: member)
            if mutant == .logReplayedTwice { count += replay(to: member) }
            tellRestore(host, .memberReplayed(name, segments: count))
        case .started:
            start(member)
            tellRestore(host, .memberStarted(name))
        default:
            if mutant != .loadedLeftOnDiscard { restoring.members[member].state = .absent }
            tellRestore(host, .memberDiscarded(name))
        }
    }

    private func send(_ report: RestoreReport, from host: Int, _ session: UInt16) {
        guard let arrival = arrival(of: report, from: host, session) else { return }
        restoring.reports.append(report)
        let happening = Happening.restoreReport(
            host: UInt8(host), message: Int32(restoring.reports.count - 1), session: session)
        queue.push(happening, at: arrival)
        guard hosts[host].doublesReport else { return }
        hosts[host].doublesReport = false
        queue.push(happening, at: arrival + random.span(100, 100_000))
    }

    // MARK: Death and recovery

    /// Rules and guests outlive the agent; what it was doing does not.
    func crashRestore(on host: Int) {
        missEnd(host)
        restoring.hosts[host].participant = nil
        restoring.hosts[host].lane = 0
        for number in restoring.members.indices where restoring.members[number].home == host {
            restoring.members[number].generation += 1
            restoring.members[number].lane = 0
        }
    }

    /// From the report that its members run, until `finish` comes, a host that misses the manager gives them up, and
    /// the manager may have told the others to keep theirs.
    private func missEnd(_ host: Int) {
        if restoring.finishing || restoring.hosts[host].participant?.phase == .started {
            restoring.hosts[host].missedTheEnd = true
        }
    }

    /// An agent that starts sweeps its predecessor's rules, and destroys what was loaded and not kept.
    func recoverRestore(on host: Int) {
        restoring.hosts[host].fenced = false
        guard mutant != .loadedLeftOnRecovery else { return }
        for number in restoring.members.indices
        where restoring.members[number].home == host && !restoring.members[number].committed {
            restoring.members[number].state = .absent
        }
    }
}
