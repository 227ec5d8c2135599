/// Whether the connections between guests move on, by what the witnesses say of them.
package struct WitnessProgress: Sendable {
    private struct End: Hashable {
        var machine: Int
        var peer: Int
        var kind: ConnectionReport.Kind
    }

    private let lab: Lab
    private let machines: [Lab.Machine]
    private let offsets: [String: UInt64]

    /// From now on, for the connections among these machines.
    package init(of machines: [Lab.Machine], in lab: Lab) {
        self.lab = lab
        self.machines = machines
        offsets = lab.logEnds()
    }

    /// What has not moved on yet, one sentence each. A connection has moved on when an end has reported more bytes than
    /// in its first report since the beginning: what lay in buffers by then may be in the first.
    package func stalled() throws -> [String] {
        var stalled: [String] = []
        let indices = Set(machines.map(\.index))
        for machine in machines {
            let reports = try lab.witnessReports(of: machine.name, since: offsets[machine.name] ?? 0)
            guard let first = reports.first, let last = reports.last, reports.count > 1 else {
                stalled.append("\(machine.name) has not reported.")
                continue
            }
            if last.diskFailure != 0 { stalled.append("The disk of \(machine.name) failed: \(last.diskFailure).") }
            var received: [End: UInt64] = [:]
            for connection in first.connections {
                received[End(machine: machine.index, peer: connection.peer, kind: connection.kind)] =
                    connection.received
            }
            for connection in last.connections where indices.contains(connection.peer) {
                let end = End(machine: machine.index, peer: connection.peer, kind: connection.kind)
                guard connection.state == .open, connection.received > received[end] ?? .max else {
                    stalled.append(
                        "\(machine.name) hears nothing from vm-\(connection.peer) (\(connection.kind), "
                            + "\(connection.state)).")
                    continue
                }
            }
        }
        return stalled
    }

    package func wait(patience: Duration) async throws -> [String] {
        let end = ContinuousClock.now + patience
        while true {
            let stalled = try stalled()
            guard !stalled.isEmpty, ContinuousClock.now < end else { return stalled }
            try await Task.sleep(for: .milliseconds(50))
        }
    }
}
