import SnapshotProtocol

/// The wire between the members.
extension World {
    func emit(_ from: Int, _ to: Int, _ kind: Packet.Kind, _ number: UInt16) {
        let index = Int32(packets.count)
        packets.append(
            Packet(
                from: UInt8(from), to: UInt8(to), kind: kind, number: number, emitted: nextStep(),
                afterCut: members[from].cut != 0))
        if members[from].gated, !hosts[members[from].host].leaky, !packets[Int(index)].isMarker {
            hold(index, by: from)
        } else if members[from].deaf {
            packets[Int(index)].lost += 1
        } else {
            note("\(describe(index)) is emitted")
            transmit(index)
        }
    }

    func transmit(_ index: Int32) {
        let packet = packets[Int(index)]
        let home = hosts[members[Int(packet.from)].host]
        let away = hosts[members[Int(packet.to)].host]
        let apart = members[Int(packet.from)].host != members[Int(packet.to)].host
        let cutOff = apart && (isCutOff(home) || isCutOff(away))
        if cutOff || random.chance(scenario.loss) || (packet.isMarker && members[Int(packet.from)].losesMarkers) {
            packets[Int(index)].lost += 1
            note("\(describe(index)) is lost")
            return
        }
        schedule(index, apart: apart)
        if random.chance(scenario.duplication) {
            packets[Int(index)].copies += 1
            schedule(index, apart: apart)
        }
    }

    private func isCutOff(_ host: HostState) -> Bool { host.cutOff.from <= now && now < host.cutOff.to }

    private func schedule(_ index: Int32, apart: Bool) {
        let pathDelay = hosts[members[Int(packets[Int(index)].to)].host].pathDelay
        var arrival = now + (apart ? random.span(50, scenario.delay) + pathDelay : random.span(10, 60))
        if scenario.fifo {
            let pair = Int(packets[Int(index)].from) * memberCount + Int(packets[Int(index)].to)
            arrival = max(arrival, lastArrival[pair] + 1)
            lastArrival[pair] = arrival
        }
        queue.push(.arrive(packet: index), at: arrival)
    }

    /// A packet comes out of the wire at its receiver's host.
    func arrive(_ index: Int32) {
        let packet = packets[Int(index)]
        let member = Int(packet.to)
        let host = members[member].host
        // While an epoch runs, what arrives passes through the agent, so it waits while the agent does not run.
        if hosts[host].gateClosed, hosts[host].agentAlive, hosts[host].frozenUntil > now {
            queue.push(.arrive(packet: index), at: hosts[host].frozenUntil)
            return
        }
        if packet.isMarker {
            guard packet.kind == .marker || mutant == .foreignMarkerAccepted else { return }
            note("marker m\(packet.from)>m\(packet.to) arrives")
            tell(host, .markerArrived(Channel(sender: Names.member(Int(packet.from)), receiver: Names.member(member))))
            return
        }
        if packet.arrived == 0 { packets[Int(index)].arrived = nextStep() }
        guard members[member].alive else { return }
        if members[member].logsLate, mutant != .lateSegmentsNotLogged {
            members[member].lateLog.append(index)
            note("\(describe(index)) is logged late")
            if mutant == .lateSegmentsSwallowed { return }
        }
        if members[member].paused {
            members[member].tap.append(index)
        } else {
            take(index, member)
        }
    }

    func describe(_ index: Int32) -> String {
        let packet = packets[Int(index)]
        let number = packet.kind == .datagram || packet.isMarker ? "" : " \(packet.number)"
        return "#\(index) m\(packet.from)>m\(packet.to) \(packet.kind.rawValue)\(number)"
            + (packet.afterCut ? " (after cut)" : "")
    }
}
