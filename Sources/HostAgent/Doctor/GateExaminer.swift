package import PacketGate

/// What an examination asks of the packet gate.
package protocol GateExaminer: Sendable {
    /// The queue numbers that the next epoch would take for so many members, and why one cannot be bound.
    func inspectQueues(members: Int) -> [(number: UInt16, failure: GateError?)]
    /// Fails when a bridge cannot be made to show what it forwards to the packet filter.
    func inspectBridge(_ name: String) throws(GateError)
}

extension PacketGate: GateExaminer {}

/// For a desktop whose agent does not run.
struct UnclaimedGate: GateExaminer {
    let queueBase: Int

    func inspectQueues(members: Int) -> [(number: UInt16, failure: GateError?)] {
        (queueBase..<queueBase + members * 2).compactMap { UInt16(exactly: $0) }.map { number in
            do throws(GateError) {
                try GateInspection.checkQueue(number)
                return (number, nil)
            } catch {
                return (number, error)
            }
        }
    }

    func inspectBridge(_ name: String) throws(GateError) { try GateInspection.checkBridge(name) }
}
