import Packets

/// What the member emits.
extension MemberLoop {
    /// Packets that one verdict lets go: all up to this one, with a mark or as they are.
    private struct Run {
        var last: UInt32
        var mark: UInt32?
    }

    func takeEgress(limit: Int) {
        guard let egress else { return }
        var taken = 0
        var run: Run?
        while taken < limit {
            guard take(from: egress, or: { loseQueue("its egress socket failed: \($0)") }) else {
                if taken == 0 { backlog.egress = 0 }
                break
            }
            taken += egress.packets.count
            backlog.egress += UInt64(egress.packets.count)
            for packet in egress.packets {
                switch egressPhase {
                case .holding:
                    held += 1
                    lastHeld = packet.id
                    // What comes after the place is not channel state: the kernel keeps it, nobody records it.
                    if !hasPlace { sent.append(packet, time: nextTime()) }
                    continue
                case .colouring, .open: break
                case .idle, .closed: countOutside(1)
                }
                // The mark of another rule is kept: one verdict gives one mark to all of its packets.
                let mark = egressPhase == .colouring && hasPlace ? packet.mark | OwnChains.mark : nil
                if let run, run.mark != mark { letGo(run, from: egress) }
                run = Run(last: packet.id, mark: mark)
            }
        }
        if let run { letGo(run, from: egress) }
    }

    private func letGo(_ run: Run, from queue: PacketQueue) {
        settle(
            run.mark.map { queue.accept(upTo: run.last, mark: $0) } ?? queue.accept(upTo: run.last))
    }

    /// Lets go what is held, in order, and from now on whatever comes, without the colour.
    func openEgress() {
        deadline = nil
        egressPhase = .open
        if let lastHeld, let egress { settle(egress.accept(upTo: lastHeld)) }
        lastHeld = nil
        // The kernel answers a verdict that it refuses before the call returns.
        takeEgress(limit: Self.turn)
    }
}
