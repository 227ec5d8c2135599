/// What happens to restored members, judged on the spot: the order of fence, load, replay and start.
extension World {
    func start(_ member: Int) {
        restoring.members[member].state = .running
        note("m\(member) runs from the snapshot")
        checkTimelines("m\(member) runs from the snapshot")
        if restoring.members[member].tainted { violateByAbandoned(member) }
        for other in restoring.members.indices where !restoring.members[other].wasLoaded {
            violate(.restore, "m\(member) runs from the snapshot before m\(other) was loaded")
        }
    }

    /// Nothing of the snapshot may be there before the other timeline is silent everywhere.
    func checkTimelines(_ what: @autoclosure () -> String) {
        for number in restoring.members.indices where restoring.members[number].original {
            violate(.restore, "\(what()) while the original of m\(number) runs")
        }
        for host in hosts.indices where !restoring.hosts[host].wasFenced {
            violate(.restore, "\(what()) before d\(host) was fenced")
        }
    }

    func endRestore(_ host: Int) {
        restoring.hosts[host].participant = nil
        note("d\(host) is done with the restore")
        if restoring.hosts[host].fenced { violate(.nothingFrozen, "d\(host) ended the restore behind its fence") }
        for number in restoring.members.indices
        where restoring.members[number].home == host && restoring.members[number].state == .paused {
            violate(.nothingFrozen, "d\(host) ended the restore while m\(number) is paused")
        }
    }

    /// Writes the logs for `member` into its tap: what came late before what was held.
    func replay(to member: Int) -> UInt64 {
        guard mutant != .replayForgotten else { return 0 }
        let late = members[member].lateLog
        var held: [Int32] = []
        for sender in members.indices {
            for index in members[sender].heldLog where Int(packets[Int(index)].to) == member { held.append(index) }
        }
        let log = mutant == .logReplayedOutOfOrder ? held.reversed() + late : late + held
        var previous = [Int32](repeating: -1, count: memberCount)
        for index in log {
            let packet = packets[Int(index)]
            let from = Int(packet.from)
            if scenario.fifo, packet.copies == 1, index < previous[from] {
                violate(.restore, "\(describe(index)) is replayed after a later one of its channel")
            }
            previous[from] = index
            restoring.replays[Int(index)] += 1
            switch packet.kind {
            case .data: _ = restoring.streams[from * memberCount + member].receive(packet.number)
            case .ack: restoring.streams[member * memberCount + from].acknowledge(packet.number)
            default: break
            }
        }
        return UInt64(log.count)
    }
}
