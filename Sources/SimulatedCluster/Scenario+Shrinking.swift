import SnapshotProtocol

extension Scenario {
    /// The smallest scenario found that still fails: faults, then trouble of the network, then traffic and members are
    /// taken away for as long as `fails` says so.
    func shrunk(while fails: (Scenario) -> Bool) -> Scenario {
        var best = self
        var progress = true
        while progress {
            progress = false
            for candidate in best.smaller() where fails(candidate) {
                best = candidate
                progress = true
                break
            }
        }
        return best
    }

    private func smaller() -> [Scenario] {
        var candidates: [Scenario] = []
        func offer(_ change: (inout Scenario) -> Void) {
            var copy = self
            change(&copy)
            candidates.append(copy)
        }
        for index in faults.indices { offer { $0.faults.remove(at: index) } }
        for index in restoreFaults.indices { offer { $0.restoreFaults.remove(at: index) } }
        if loss > 0 { offer { $0.loss = 0 } }
        if duplication > 0 { offer { $0.duplication = 0 } }
        if !fifo { offer { $0.fifo = true } }
        if ownBits.contains(true) { offer { $0.ownBits = $0.ownBits.map { _ in false } } }
        if placement.count > 2 {
            let last = UInt8(placement.count - 1)
            offer {
                $0.placement.removeLast()
                $0.ownBits.removeLast()
                $0.writes.removeAll { $0.from == last || $0.to == last }
                $0.faults.removeAll { $0.kind.isOfMember && $0.target == Int(last) }
                $0.restoreFaults.removeAll { $0.kind.isOfMember && $0.target == Int(last) }
            }
        }
        var chunk = writes.count / 2
        while chunk > 0 {
            var start = 0
            while start < writes.count {
                let range = start..<min(start + chunk, writes.count)
                offer { $0.writes.removeSubrange(range) }
                start += chunk
            }
            chunk /= 2
        }
        return candidates
    }

    /// The scenario for people, one line for each part.
    var summary: [String] {
        var lines = [
            "seed \(seed): " + placement.enumerated().map { "m\($0)@d\($1)" }.joined(separator: " "),
            "network: \(fifo ? "in order" : "reorders"), loss \(loss)/1000, duplication \(duplication)/1000, "
                + "delay to \(delay)us; \(writes.count) writes",
        ]
        if mode == .colour {
            let setters = ownBits.indices.filter { ownBits[$0] }.map { "m\($0)" }
            lines.append(
                "colour mode for \(colourBudget)ms; the bit is also set by \(setters.isEmpty ? "nobody" : setters.joined(separator: " "))"
            )
        } else {
            lines.append("hold mode")
        }
        lines += faults.map { "fault: \($0)" }
        lines += restoreFaults.map { "fault of the restore: \($0)" }
        return lines
    }
}
