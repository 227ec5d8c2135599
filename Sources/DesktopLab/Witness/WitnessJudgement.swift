/// What the witnesses' reports after a restore say of it.
///
/// Pure: the reports come from the console logs, taken from the place where they ended when the old guests were dead.
package struct WitnessJudgement: Hashable, Sendable, Codable {
    /// One TCP connection, with what both of its ends say.
    package struct Connection: Hashable, Sendable, Codable {
        /// Indices of the two machines, the lower first.
        package var ends: [Int]
        package var kind: ConnectionReport.Kind
        /// Open at both ends, without a mismatch, and bytes still arriving at both in the second half of the reports.
        package var survived: Bool
        /// From the start of the restored guest to the first byte from the peer, at the end that waited longer, in
        /// milliseconds of guest time; so far, if there was none. The guest's clock stands still from the cut to the
        /// start. It knows the instant by its last look at the clock before the cut, so that this is up to one of the
        /// witness's intervals (20 ms) too long, never too short.
        package var stall: UInt64
        package var mismatches: UInt64
        /// The state at the end that is worse off.
        package var state: ConnectionReport.State
    }

    package var connections: [Connection]
    /// Records on disks of another instant than the memory, and journals that ended with an error, over all members.
    package var diskMismatches: UInt64
    /// Members of which there are too few reports to judge, by index.
    package var silentMembers: [Int]

    package var total: Int { connections.count }
    package var survived: Int { connections.count(where: \.survived) }
    /// Of connections and disks.
    package var mismatches: UInt64 { connections.reduce(diskMismatches) { $0 + $1.mismatches } }
    /// How long the connection that waited longest heard nothing after the start, in milliseconds of guest time.
    package var stall: UInt64 { connections.map(\.stall).max() ?? 0 }
    package var isWhole: Bool { survived == total && mismatches == 0 && silentMembers.isEmpty }

    /// - Parameter reports: of each member, by its index, in the order in which they were written. What the members
    ///   said before they noticed their restore is left out.
    package init(after reports: [Int: [WitnessReport]]) {
        let members = reports.keys.sorted()
        var views: [View: [ConnectionReport]] = [:]
        var silent: [Int] = []
        var diskMismatches: UInt64 = 0
        for member in members {
            let all = reports[member] ?? []
            // A restored guest may first end the line that was cut: that one is of before.
            let restores = all.map(\.restores).max() ?? 0
            let own = all.filter { $0.restores == restores }
            guard let last = own.last, own.count >= 4 else {
                silent.append(member)
                continue
            }
            diskMismatches += last.diskMismatches + (last.diskFailure == 0 ? 0 : 1)
            for report in own {
                for connection in report.connections {
                    views[View(member: member, peer: connection.peer, kind: connection.kind), default: []]
                        .append(connection)
                }
            }
        }
        var judged: [Connection] = []
        for (place, low) in members.enumerated() {
            for high in members[(place + 1)...] {
                for kind in [ConnectionReport.Kind.ping, .bulk] {
                    let ends = [
                        views[View(member: low, peer: high, kind: kind)] ?? [],
                        views[View(member: high, peer: low, kind: kind)] ?? [],
                    ]
                    judged.append(WitnessJudgement.judge(ends, indices: [low, high], kind: kind))
                }
            }
        }
        connections = judged
        self.diskMismatches = diskMismatches
        silentMembers = silent
    }

    private struct View: Hashable {
        var member: Int
        var peer: Int
        var kind: ConnectionReport.Kind
    }

    private static func judge(
        _ ends: [[ConnectionReport]], indices: [Int], kind: ConnectionReport.Kind
    ) -> Connection {
        var result = Connection(ends: indices, kind: kind, survived: true, stall: 0, mismatches: 0, state: .open)
        for end in ends {
            guard let last = end.last else {
                result.survived = false
                result.state = .waiting
                continue
            }
            result.mismatches += last.mismatches
            if last.state != .open { result.state = last.state }
            // What lay in a socket's buffer at the cut is still read by a connection that is dead: only what arrives
            // later shows that it lives.
            let arrived = last.received - min(last.received, end[end.count / 2].received)
            if last.state != .open || last.mismatches > 0 || arrived == 0 { result.survived = false }
            result.stall = max(result.stall, last.heardAfter)
        }
        return result
    }
}
