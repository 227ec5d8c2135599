import SnapshotProtocol

/// The driver around the restore's coordinator.
extension World {
    /// Restores what is listed, while the members' originals still run. Runs until nothing is left to happen.
    func restore() {
        let plan = RestorePlan(
            snapshot: self.plan.snapshot, cluster: self.plan.cluster,
            members: members.indices.map { number in
                let home = random.chance(300) ? random.index(hosts.count) : members[number].host
                restoring.members.append(RestoringMember(home: home, original: members[number].alive))
                return RestoredMember(
                    name: Names.member(number), host: Names.host(home), machine: "machine", nics: [], parts: [],
                    requirements: [:])
            }, replaceRunning: scenario.replaceRunning, replayLogs: true)
        restoring.streams = images
        restoring.replays = Array(repeating: 0, count: packets.count)
        restoring.sessions = registered
        restoring.jobAlive = true
        var deadlines = RestoreCoordinator.Deadlines()
        deadlines.step = Scenario.restoreStep
        deadlines.load = Scenario.restoreLoad
        restoring.coordinator = RestoreCoordinator(
            plan: plan, reachable: hosts.indices.filter { registered[$0] != 0 }.map { Names.host($0) },
            deadlines: deadlines)
        for index in scenario.restoreFaults.indices {
            queue.push(.restoreFault(UInt8(index)), at: now + scenario.restoreFaults[index].time)
        }
        for _ in 0..<16 {
            let from = random.index(memberCount)
            let to = (from + 1 + random.index(memberCount - 1)) % memberCount
            queue.push(.abandonedSend(from: UInt8(from), to: UInt8(to)), at: now + random.span(0, 30_000))
        }
        note("the restore begins")
        tellRestore(.start)
        drain()
    }

    func tellRestore(_ event: RestoreCoordinator.Event) {
        guard restoring.jobAlive, restoring.coordinator != nil else { return }
        for action in restoring.coordinator!.handle(event, at: Tick(now / 1_000_000)) {
            switch action {
            case .send(let command, let host): send(command, to: Names.number(host))
            case .enter(let phase):
                note("manager enters \(phase.rawValue)")
                if phase == .finishing { restoring.finishing = true }
                let limit = phase == .loading ? Scenario.restoreLoad : Scenario.restoreStep
                if phase != .finished { queue.push(.restoreTick, at: now + (limit + 1) * 1_000_000) }
            case .finished(let outcome):
                restoring.outcome = outcome
                note("manager: \(outcome)")
            }
        }
    }

    private func send(_ command: RestoreCommand, to host: Int) {
        let session = restoring.sessions[host]
        guard session > hosts[host].broken else { return }
        let arrival = controlArrival(host, after: hosts[host].lastCommand)
        hosts[host].lastCommand = arrival
        restoring.commands.append(command)
        queue.push(
            .restoreCommand(
                host: UInt8(host), message: Int32(restoring.commands.count - 1), session: session), at: arrival)
    }

    func collectRestore(_ message: Int, from host: Int, _ session: UInt16) {
        guard session > hosts[host].broken, restoring.sessions[host] == session else { return }
        note("manager hears from d\(host): \(restoring.reports[message])")
        tellRestore(.report(restoring.reports[message], from: Names.host(host)))
    }

    /// A fault while the restore is under way.
    func strikeRestore(_ fault: Fault) {
        guard fault.kind.isOfRestore else { return strike(fault) }
        note("FAULT \(fault)")
        switch fault.kind {
        case .restoreCancel: tellRestore(.cancel)
        case .loadFails where fault.target < memberCount: restoring.members[fault.target].loadFails = true
        case .slowLoad where fault.target < memberCount:
            restoring.members[fault.target].slowLoad = fault.duration * 10
        default: break
        }
    }

    // MARK: The abandoned timeline

    /// An original sends as long as it runs and nothing stops what it sends.
    func sendAbandoned(_ from: Int, _ to: Int) {
        guard restoring.members[from].original, !restoring.hosts[members[from].host].fenced else { return }
        // The longest delay of any network here: shorter than all images together need to be loaded.
        let longest = random.chance(400) ? 33_000 : scenario.delay
        queue.push(.abandonedArrive(to: UInt8(to)), at: now + random.span(50, longest))
    }

    func arriveAbandoned(_ to: Int) {
        let member = restoring.members[to]
        guard member.state != .absent, !restoring.hosts[member.home].fenced else { return }
        restoring.members[to].tainted = true
        note("a segment of the abandoned timeline comes to m\(to)")
        if member.state == .running { violateByAbandoned(to) }
    }

    func violateByAbandoned(_ member: Int) {
        violate(.restore, "a segment of the abandoned timeline reaches the restored m\(member)")
    }
}
