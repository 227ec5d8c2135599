/// The kernel's side of the queues.
extension MemberLoop {
    /// A full queue tells nobody that it drops: the kernel's counters are looked at while one is full.
    var isFull: Bool { held >= queueLength || UInt64(waiting.entries.count) >= queueLength }

    /// So many packets came in one go that a queue which lets all go on may have been full.
    var hasFallenBehind: Bool { max(backlog.egress, backlog.ingress) >= queueLength }

    func inspectQueues() {
        let statistics = QueueStatistics.read()
        var dropped: UInt64 = 0
        let expected = [
            (egress, "egress", lastHeld == nil ? 0 : held), (ingress, "ingress", UInt64(waiting.entries.count)),
        ]
        for (queue, name, count) in expected {
            guard let queue else { continue }
            guard let found = statistics[queue.number], found.port == queue.port else {
                loseQueue("its \(name) queue \(queue.number) is no longer bound to the agent")
                continue
            }
            dropped += found.queueDropped + found.userDropped
            if found.waiting < count {
                loseQueue("\(count - found.waiting) packets that it held are gone")
            }
        }
        overflowed = max(dropped, overruns)
        if overflowed > 0 { tellOverflow() }
    }

    func lookForOverflow() {
        let statistics = QueueStatistics.read()
        let dropped = [egress, ingress].compactMap { $0.flatMap { statistics[$0.number]?.queueDropped } }.reduce(0, +)
        if dropped > 0 { tellOverflow() }
        backlog = (0, 0)
    }

    private func tellOverflow() {
        guard !overflowTold else { return }
        overflowTold = true
        report(.broken(.overflow(member: member)))
    }
}
