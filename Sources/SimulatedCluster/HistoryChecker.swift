import SnapshotProtocol

/// Judges a finished history by what really happened, which no machine and no driver can see.
struct HistoryChecker {
    let world: World

    func check() {
        checkRest()
        checkRepository()
        checkProgress()
        guard world.manifestListed else { return }
        checkMode()
        checkProof()
        checkCut()
        checkLogs()
    }

    /// I3: at the end everything runs and every gate is open. I5: no gate keeps or swallows a packet.
    private func checkRest() {
        for (number, member) in world.members.enumerated() where member.alive {
            if member.paused { world.violate(.nothingFrozen, "m\(number) never runs again") }
            if member.gated { world.violate(.nothingFrozen, "the gate of m\(number) never opens") }
        }
        for (host, state) in world.hosts.enumerated() where state.participant?.phase != .idle {
            if let phase = state.participant?.phase {
                world.violate(.nothingFrozen, "the machine of d\(host) never ends: \(phase.rawValue)")
            }
        }
        if world.jobAlive, world.outcome == nil {
            world.violate(.nothingFrozen, "the manager never ends: \(world.coordinator.phase.rawValue)")
        }
        for host in world.hosts.indices where world.registered[host] != world.hosts[host].session {
            world.violate(.nothingFrozen, "d\(host) and the manager do not find each other again")
        }
        checkOriginals()
        for index in world.packets.indices {
            let packet = world.packets[index]
            if packet.held { world.violate(.openForTraffic, "\(world.describe(Int32(index))) never leaves its gate") }
            if packet.arrived != 0, packet.delivered == 0, packet.lost < packet.copies,
                world.members[Int(packet.to)].alive
            {
                world.violate(.openForTraffic, "\(world.describe(Int32(index))) arrives and is never delivered")
            }
        }
    }

    /// Whatever became of the epoch, the connections of the guests that live come to their end by themselves.
    private func checkOriginals() {
        for sender in world.members.indices where world.members[sender].alive {
            for receiver in world.members.indices where receiver != sender && world.members[receiver].alive {
                let stream = world.streams[sender * world.memberCount + receiver]
                var name: String { "m\(sender)>m\(receiver)" }
                if stream.next != stream.written || stream.ahead != 0 {
                    world.violate(
                        .openForTraffic, "\(name): \(stream.next) of \(stream.written) segments reach the application")
                } else if stream.acknowledged != stream.written {
                    world.violate(.openForTraffic, "\(name): the sender never hears that all has arrived")
                }
            }
        }
    }

    /// I4: what is listed is whole, and what is not listed leaves nothing.
    private func checkRepository() {
        let stored = world.members.filter(\.stored).count
        if world.manifestListed {
            if stored < world.memberCount {
                world.violate(.allOrNothing, "listed with \(stored) of \(world.memberCount) members stored")
            }
            if case .aborted = world.outcome { world.violate(.allOrNothing, "listed though the epoch was aborted") }
        } else {
            if stored > 0, world.outcome != nil || !world.jobAlive {
                world.violate(.allOrNothing, "\(stored) members' parts remain of an epoch that is not listed")
            }
            if case .sealed = world.outcome { world.violate(.allOrNothing, "sealed though nothing is listed") }
        }
    }

    /// An epoch that nothing may hinder is sealed, in the mode that it should have.
    private func checkProgress() {
        guard let due = world.scenario.dueMode, world.sealedMode != due || !world.manifestListed else { return }
        let found = world.manifestListed ? world.sealedMode?.rawValue ?? "no" : "no"
        world.violate(.progress, "a snapshot in \(due.rawValue) mode is due, and there is one in \(found) mode")
    }

    /// The manifest claims the mode that was in effect.
    private func checkMode() {
        for (number, member) in world.members.enumerated() {
            guard let mode = member.cutMode, mode != world.sealedMode else { continue }
            world.violate(
                .noOrphan,
                "sealed in \(world.sealedMode?.rawValue ?? "no") mode, and m\(number) was cut in \(mode.rawValue) mode")
        }
    }

    /// In colour mode no orphan is ruled out unless every path has been seen to keep the colour until its receiver's cut.
    private func checkProof() {
        guard world.sealedMode == .colour else { return }
        for from in world.members.indices {
            for to in world.members.indices where to != from && !world.proven[from * world.memberCount + to] {
                world.violate(.noOrphan, "sealed though nothing shows that m\(from)>m\(to) kept the colour")
            }
        }
    }

    /// I1.
    private func checkCut() {
        for member in world.members.indices where world.members[member].cut == 0 {
            world.violate(.allOrNothing, "listed though m\(member) was never cut")
        }
        for index in world.packets.indices {
            let packet = world.packets[index]
            let receiverCut = world.members[Int(packet.to)].cut
            if packet.emitted > world.members[Int(packet.from)].cut, packet.delivered != 0,
                packet.delivered < receiverCut
            {
                world.violate(.noOrphan, "\(world.describe(Int32(index))) reached m\(packet.to) before its cut")
            }
        }
    }

    /// I2.
    private func checkLogs() {
        var times = [UInt8](repeating: 0, count: world.packets.count)
        for member in world.members {
            for index in member.heldLog { times[Int(index)] += 1 }
            for index in member.lateLog { times[Int(index)] += 1 }
        }
        for index in world.packets.indices {
            let packet = world.packets[index]
            let senderCut = world.members[Int(packet.from)].cut
            let receiver = world.members[Int(packet.to)]
            let logged = times[index]
            // Names are for histories that fail.
            var name: String { world.describe(Int32(index)) }
            if logged > 0 {
                if packet.emitted > senderCut {
                    world.violate(.exactLog, "\(name) is in the log, though sent after its sender's cut")
                }
                if packet.copies == 1, packet.delivered != 0, packet.delivered < receiver.cut {
                    world.violate(.exactLog, "\(name) is in the log, though delivered before the receiver's cut")
                }
                if logged > packet.copies { world.violate(.exactLog, "\(name) is in the log \(logged) times") }
            } else if packet.emitted < senderCut {
                checkMissing(packet, name, receiver)
            }
        }
    }

    /// A packet sent before its sender's cut that no log holds.
    private func checkMissing(_ packet: Packet, _ name: @autoclosure () -> String, _ receiver: MemberState) {
        let deliveredBefore = packet.delivered != 0 && packet.delivered < receiver.cut
        let pair = Int(packet.from) * world.memberCount + Int(packet.to)
        let late =
            packet.arrived != 0 && packet.arrived < world.hosts[receiver.host].logClosed && !deliveredBefore
            && !isOvertaken(packet, pair)
        if late { world.violate(.exactLog, "\(name()) came after the cut, before the release, and is not in the log") }
        let proven = world.verdict != nil && !world.unproven[pair]
        guard world.scenario.fifo, proven, !deliveredBefore, packet.lost < packet.copies else { return }
        world.violate(.exactLog, "\(name()) was under way at the cut and no log holds it, though its marker had come")
    }

    /// Only on a path that reorders: coloured before the gates were armed and slower than a probe, or slower than the
    /// marker of its sender's cut.
    private func isOvertaken(_ packet: Packet, _ pair: Int) -> Bool {
        guard world.sealedMode == .colour, !world.scenario.fifo else { return false }
        return packet.coloured || world.drained[pair] != 0 && packet.arrived > world.drained[pair]
    }
}
