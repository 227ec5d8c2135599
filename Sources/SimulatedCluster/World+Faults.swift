import SnapshotProtocol

/// What goes wrong.
extension World {
    func strike(_ fault: Fault) {
        note("FAULT \(fault)")
        let target = fault.target
        if !fault.kind.isOfMember {
            strike(host: target, fault)
        } else if target < memberCount {
            strike(member: target, fault)
        }
    }

    private func strike(member: Int, _ fault: Fault) {
        switch fault.kind {
        case .guestDeath: members[member].alive = false
        case .slowImage: members[member].slowImage = fault.duration * 4
        case .slowFreeze: members[member].slowFreeze = fault.duration
        case .lostAnswer: members[member].losesAnswer = true
        case .overflow:
            // A queue that is held stays full; one that lets all go empties.
            members[member].overflowsUntil = scenario.mode == .hold ? .max : now + fault.duration
        case .markerLoss: members[member].losesMarkers = true
        case .bleachedChannel: break
        case .guestFreeze:
            members[member].stalledUntil = max(members[member].stalledUntil, now + fault.duration)
            queue.push(.guestResumes(member: UInt8(member)), at: members[member].stalledUntil)
        default: members[member].refuses = true
        }
    }

    private func strike(host: Int, _ fault: Fault) {
        switch fault.kind {
        case .agentCrash: crashAgent(host, for: fault.duration)
        case .agentFreeze:
            hosts[host].frozenUntil = max(hosts[host].frozenUntil, now + fault.duration)
            hosts[host].idleFor += fault.duration
        case .managerCrash: crashManager(for: fault.duration)
        case .managerFreeze: managerFrozenUntil = max(managerFrozenUntil, now + fault.duration)
        case .controlPartition: cutControl(host, for: fault.duration)
        case .staleReport: postStaleReport(host, fault)
        case .diskFull: hosts[host].diskFull = true
        case .slowArm: hosts[host].slowArm = fault.duration
        case .lostReport: hosts[host].losesReport = true
        case .doubledReport: hosts[host].doublesReport = true
        case .controlBreak: breakSession(host)
        case .partition: hosts[host].cutOff = (now, now + fault.duration)
        case .foreignChange:
            if hosts[host].gatesLive {
                hosts[host].leaky = true
                hosts[host].foreignChanges += 1
            }
        case .staleMarkers:
            for receiver in members.indices where members[receiver].host == host {
                for sender in members.indices where sender != receiver {
                    let kind: MarkerKind = scenario.mode == .hold ? .flush : random.chance(500) ? .probe : .cut
                    queue.push(
                        .marker(from: UInt8(sender), to: UInt8(receiver), kind, coloured: true, foreign: true), at: now)
                }
            }
        case .staleColour:
            for receiver in members.indices where members[receiver].host == host {
                for sender in members.indices where members[sender].host != host { sendStaleColour(sender, receiver) }
            }
        case .cancel: tellManager(.cancel)
        case .manifestFails: manifestFails = true
        default: break
        }
    }

    /// A path that takes the colour off, from the beginning or from an instant on.
    func bleach(_ fault: Fault) {
        let count = memberCount
        guard fault.target < (fault.kind.isOfMember ? count : hosts.count) else { return }
        for from in 0..<count {
            for to in 0..<count where members[from].host != members[to].host {
                let struck =
                    fault.kind == .bleachedHost
                    ? members[from].host == fault.target || members[to].host == fault.target
                    : from == fault.target && to == (from + 1 + Int(fault.duration / 1_000) % (count - 1)) % count
                guard struck else { continue }
                if fault.time == 0 {
                    bleachedUntil[from * count + to] = fault.duration
                } else {
                    bleachedFrom[from * count + to] = fault.time
                }
            }
        }
    }

    /// A report of an epoch that was given up earlier was kept by the network and arrives only now.
    private func postStaleReport(_ host: Int, _ fault: Fault) {
        let here = members.indices.filter { members[$0].host == host }.map { Names.member($0) }
        let report: SnapshotReport =
            switch fault.duration / 1_000 % 4 {
            case 0: .armed(plan.mode)
            case 1: .released(here.map { GateAttestation(member: $0, releasedAt: hosts[host].local(now)) })
            default: .saved(here.map { StoredMember(member: $0, parts: [], savedAt: 0, requirements: [:]) })
            }
        post(report, of: Epoch(1), from: host, registered[host], at: now)
    }

    private func crashAgent(_ host: Int, for duration: UInt64) {
        guard hosts[host].agentAlive else { return }
        hosts[host].agentAlive = false
        hosts[host].participant = nil
        hosts[host].session = 0
        hosts[host].broken = hosts[host].lastSession
        hosts[host].boot += 1
        hosts[host].idleFor += duration
        hosts[host].frozenUntil = 0
        for member in members.indices where members[member].host == host { members[member].generation += 1 }
        open(host, dropping: true)
        crashRestore(on: host)
        if registered[host] != 0 { managerNotices(host, after: random.span(100, 20_000)) }
        queue.push(.agentRestarts(host: UInt8(host)), at: now + duration)
    }

    /// An agent that starts finds the guests that its predecessor had frozen, and lets them run.
    func restartAgent(_ host: Int) {
        hosts[host].agentAlive = true
        note("the agent of d\(host) starts again")
        queue.push(.dial(host: UInt8(host)), at: now + random.span(1_000, 10_000))
        recoverRestore(on: host)
        guard mutant != .recoveryForgotten else { return }
        for member in members.indices where members[member].host == host { thaw(member) }
    }
}
