import SnapshotProtocol

/// What goes wrong.
extension World {
    func strike(_ fault: Fault) {
        note("FAULT \(fault)")
        let target = fault.target
        switch fault.kind {
        case .guestDeath, .slowImage, .slowFreeze, .lostAnswer, .overflow, .markerLoss, .refusal:
            if target < memberCount { strike(member: target, fault) }
        default: strike(host: target, fault)
        }
    }

    private func strike(member: Int, _ fault: Fault) {
        switch fault.kind {
        case .guestDeath: members[member].alive = false
        case .slowImage: members[member].slowImage = fault.duration * 4
        case .slowFreeze: members[member].slowFreeze = fault.duration
        case .lostAnswer: members[member].losesAnswer = true
        case .overflow: members[member].queueBroken = true
        case .markerLoss: members[member].losesMarkers = true
        default: members[member].refuses = true
        }
    }

    private func strike(host: Int, _ fault: Fault) {
        switch fault.kind {
        case .agentCrash: crashAgent(host, for: fault.duration)
        case .agentFreeze:
            hosts[host].frozenUntil = max(hosts[host].frozenUntil, now + fault.duration)
            hosts[host].idleFor += fault.duration
        case .managerCrash:
            managerAlive = false
            for host in hosts.indices { sever(host) }
            queue.push(.managerRestarts, at: now + fault.duration)
        case .diskFull: hosts[host].diskFull = true
        case .slowArm: hosts[host].slowArm = fault.duration
        case .lostReport: hosts[host].losesReport = true
        case .controlBreak:
            sever(host)
            queue.push(.managerNotices(host: UInt8(host)), at: now + random.span(100, 40_000))
        case .partition: hosts[host].cutOff = (now, now + fault.duration)
        case .foreignChange:
            if hosts[host].gateClosed {
                hosts[host].leaky = true
                hosts[host].foreignChanges += 1
            }
        case .staleMarkers:
            for receiver in members.indices where members[receiver].host == host {
                for sender in members.indices where sender != receiver {
                    packets.append(
                        Packet(
                            from: UInt8(sender), to: UInt8(receiver), kind: .staleMarker, number: 0,
                            emitted: nextStep(), afterCut: false))
                    queue.push(.arrive(packet: Int32(packets.count - 1)), at: now)
                }
            }
        case .cancel: tellManager(.cancel)
        case .manifestFails: manifestFails = true
        default: break
        }
    }

    private func sever(_ host: Int) {
        guard hosts[host].linked else { return }
        hosts[host].linked = false
        queue.push(.hostNotices(host: UInt8(host)), at: now + random.span(100, 40_000))
    }

    private func crashAgent(_ host: Int, for duration: UInt64) {
        guard hosts[host].agentAlive else { return }
        hosts[host].agentAlive = false
        hosts[host].participant = nil
        hosts[host].linked = false
        hosts[host].boot += 1
        hosts[host].idleFor += duration
        hosts[host].frozenUntil = 0
        for member in members.indices where members[member].host == host { members[member].generation += 1 }
        open(host, dropping: true)
        queue.push(.managerNotices(host: UInt8(host)), at: now + random.span(100, 20_000))
        queue.push(.agentRestarts(host: UInt8(host)), at: now + duration)
    }

    /// An agent that starts finds the guests that its predecessor had frozen, and lets them run.
    func restartAgent(_ host: Int) {
        hosts[host].agentAlive = true
        note("the agent of d\(host) starts again")
        guard mutant != .recoveryForgotten else { return }
        for member in members.indices where members[member].host == host { thaw(member) }
    }
}
