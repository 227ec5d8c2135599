import SnapshotProtocol

/// Judges a finished restore: all or nothing, nothing left behind, and every connection goes on.
struct RestoreChecker {
    let world: World

    private var restoring: RestoreState { world.restoring }

    func check() {
        checkRest()
        switch restoring.outcome {
        case .restored:
            checkWhole()
            checkReplay()
            checkStreams()
        case .refused, .failed: checkNothingRuns("the restore failed")
        case nil:
            if restoring.jobAlive {
                world.violate(.nothingFrozen, "the restore never ends: \(restoring.coordinator?.phase.rawValue ?? "")")
            }
            // Of the last message no protocol can let both ends know the same.
            if !restoring.finishing { checkNothingRuns("the manager died before it said finish") }
        }
        checkOriginals()
    }

    private func checkRest() {
        for (number, host) in restoring.hosts.enumerated() {
            if let phase = host.participant?.phase {
                world.violate(.nothingFrozen, "the restore's machine of d\(number) never ends: \(phase.rawValue)")
            }
            if host.fenced { world.violate(.nothingFrozen, "the fence of d\(number) is never lifted") }
        }
        for (number, member) in restoring.members.enumerated() where member.state == .paused {
            world.violate(.nothingFrozen, "the restored m\(number) stays paused for good")
        }
        for host in world.hosts.indices where world.registered[host] != world.hosts[host].session {
            world.violate(.nothingFrozen, "d\(host) and the manager do not find each other again")
        }
    }

    /// A host whose connection broke after the others had been told to keep their members gives up its own.
    private func checkWhole() {
        for (number, member) in restoring.members.enumerated()
        where member.state != .running && !restoring.hosts[member.home].missedTheEnd {
            world.violate(.restore, "restored, and m\(number) does not run")
        }
    }

    private func checkNothingRuns(_ why: String) {
        for (number, member) in restoring.members.enumerated() where member.state == .running {
            world.violate(.restore, "\(why), and m\(number) runs from the snapshot")
        }
    }

    /// Who may not be replaced is not touched.
    private func checkOriginals() {
        guard !world.scenario.replaceRunning else { return }
        for number in world.members.indices where world.members[number].alive && !restoring.members[number].original {
            world.violate(.restore, "the original of m\(number) was stopped though it may not be replaced")
        }
    }

    private func checkReplay() {
        for index in restoring.replays.indices where restoring.replays[index] > world.packets[index].copies {
            world.violate(
                .restore, "\(world.describe(Int32(index))) reaches its receiver \(restoring.replays[index]) times")
        }
    }

    private func checkStreams() {
        let lossless = world.packets.allSatisfy { $0.lost == 0 }
        for pair in restoring.streams.indices {
            let stream = restoring.streams[pair]
            var name: String { "m\(pair / world.memberCount)>m\(pair % world.memberCount)" }
            let received = Int(stream.next) + UInt64.bitWidth - stream.ahead.leadingZeroBitCount
            if received > Int(stream.written) {
                world.violate(.restore, "\(name): the receiver has what its sender will send anew; the connection dies")
            } else if stream.acknowledged > stream.next {
                world.violate(.restore, "\(name): the sender has forgotten what its receiver lacks; it stalls for good")
            } else if lossless, world.scenario.fifo, world.verdict?.logComplete == true, stream.next < stream.written {
                world.violate(.restore, "\(name): goes on only after a retransmission, though the log is complete")
            }
        }
    }
}
