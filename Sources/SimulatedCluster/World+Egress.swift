import SnapshotProtocol

/// What members emit, on its way through their gates.
extension World {
    func emit(_ from: Int, _ to: Int, _ kind: Packet.Kind, _ number: UInt16) {
        let index = Int32(packets.count)
        packets.append(
            Packet(
                from: UInt8(from), to: UInt8(to), kind: kind, number: number, emitted: nextStep(),
                afterCut: members[from].cut != 0))
        packets[Int(index)].coloured = scenario.ownBits[from]
        let host = members[from].host
        if members[from].gated, !hosts[host].leaky {
            pass(index, from, host)
        } else if members[from].deaf {
            packets[Int(index)].lost += 1
        } else {
            note("\(describe(index)) is emitted")
            transmit(index)
        }
    }

    private func pass(_ index: Int32, _ member: Int, _ host: Int) {
        let isHold = hosts[host].mode == .hold
        if isHold { members[member].heldInAll += 1 }
        if members[member].overflowsUntil > now {
            members[member].overflowed += 1
            packets[Int(index)].lost += 1
            note("\(describe(index)) overflows the queue")
        } else if isHold {
            hold(index, member)
        } else if hosts[host].frozenUntil > now || !members[member].held.isEmpty {
            if members[member].held.isEmpty {
                queue.push(.egressTurn(host: UInt8(host), member: UInt8(member)), at: hosts[host].frozenUntil)
            }
            hold(index, member)
        } else {
            colour(index, member)
            note("\(describe(index)) is emitted")
            transmit(index)
        }
    }

    private func hold(_ index: Int32, _ member: Int) {
        packets[Int(index)].held = true
        members[member].held.append(index)
        note("\(describe(index)) is held")
    }

    private func colour(_ index: Int32, _ member: Int) {
        if mutant == .guestBitNotCleared, packets[Int(index)].coloured { return }
        packets[Int(index)].coloured = members[member].isColouring
    }

    /// Colour mode: lets go what the queue kept while the agent did not run.
    func letGo(_ member: Int) {
        guard hosts[members[member].host].mode == .colour, !members[member].held.isEmpty else { return }
        let kept = members[member].held
        members[member].held = []
        for index in kept {
            packets[Int(index)].held = false
            colour(index, member)
            transmit(index)
        }
    }

    /// The gate has opened: sends out what it held, in the order of emission.
    func sendOut(_ member: Int, dropping: Bool) {
        let host = members[member].host
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
            if mutant == .heldDroppedOnAbort, outcome != nil || hosts[host].participant?.phase != .releasing {
                continue
            }
            if index < previous { violate(.openForTraffic, "\(describe(index)) leaves the gate after a later one") }
            previous = index
            packets[Int(index)].held = false
            transmit(index)
        }
    }
}
