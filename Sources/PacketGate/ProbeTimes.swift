import NIOConcurrencyHelpers
import Packets

/// How the probes of a path test came to one member of this host.
package struct ProbeTimes: Hashable, Sendable {
    struct Channel: Hashable {
        var sender: String
        var receiver: String
    }

    package var sender: String
    package var receiver: String
    /// Nanoseconds on the monotonic clock from the first probe that was sent the other way round to the moment at which
    /// those of all pairs of NICs were in; negative when these came first. Nil when none was sent from here.
    package var afterOwn: Int64?
    package var bleached: Bool
    /// The sender is behind the same bridge.
    package var isLocal: Bool
}

extension EpochGate {
    /// Names of the members of this host.
    package var members: [String] { plan.members.map(\.name) }

    func noteProbe(from sender: String, to receiver: String) {
        let now = GateClock.monotonic
        probesSent.withLockedValue { sent in
            let channel = ProbeTimes.Channel(sender: sender, receiver: receiver)
            if sent[channel] == nil { sent[channel] = now }
        }
    }

    /// Which probes have come up to now to members of this host. Before `close`.
    package func probeTimes() -> [ProbeTimes] {
        let sent = probesSent.withLockedValue { $0 }
        return gates.sorted { $0.key < $1.key }.flatMap { receiver, gate in
            let ledger = gate.perform { ($0.markers.probesIn, $0.markers.bleached(.probe)) } ?? ([:], [])
            return ledger.0.sorted { $0.key < $1.key }.map { sender, arrival in
                let own = sent[ProbeTimes.Channel(sender: receiver, receiver: sender)]
                return ProbeTimes(
                    sender: sender, receiver: receiver,
                    afterOwn: own.map { Int64(clamping: arrival) - Int64(clamping: $0) },
                    bleached: ledger.1.contains(sender), isLocal: isLocal(sender, receiver))
            }
        }
    }

    private func isLocal(_ sender: String, _ receiver: String) -> Bool {
        guard let sender = gates[sender]?.member, let receiver = gates[receiver]?.member else { return false }
        return zip(sender.nics, receiver.nics).allSatisfy { $0.bridge == $1.bridge }
    }
}
