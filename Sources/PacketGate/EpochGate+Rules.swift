import Logging
import NIOConcurrencyHelpers

/// The rules of one epoch.
extension EpochGate {
    /// What leads the members' packets to their queues and, in colour mode, gives and takes the colour.
    func wantedRules(_ mode: GateMode) -> [OwnRule] {
        gates.values.flatMap { gate in
            gate.member.nics.flatMap { nic in
                [
                    OwnRule.egress(tap: nic.tap, queue: gate.egressNumber),
                    OwnRule.ingress(tap: nic.tap, queue: gate.ingressNumber),
                ] + (mode == .hold ? [] : OwnRule.colouring(tap: nic.tap) + [OwnRule.plain(tap: nic.tap)])
            }
        }
    }

    func openGates() {
        for answer in gates.values.map({ $0.begin { $0.open() } }) { _ = answer() }
    }

    /// When this returns, the rules are live in both families.
    func makeRules(_ wanted: [OwnRule]) throws(GateError) {
        rules.withLockedValue { $0.present = wanted }
        try filter.apply(OwnChains.change("-A", wanted.map(\.text)))
    }

    /// Removes this epoch's rules. Safe to call from several threads; the first one does it.
    func removeRules() {
        ruleControl.lock()
        defer { ruleControl.unlock() }
        let present = rules.withLockedValue { $0.present }
        guard !present.isEmpty else { return }
        do {
            try filter.apply(OwnChains.change("-D", present.map(\.text)))
        } catch {
            // Somebody else has taken some of them: look what is left.
            removeRemaining(present)
        }
        rules.withLockedValue { rules in
            rules.present = []
            rules.goneAt = GateClock.monotonic
        }
    }

    private func removeRemaining(_ present: [OwnRule]) {
        do throws(GateError) {
            let (raw, mangle) = (try filter.rules(table: "raw"), try filter.rules(table: "mangle"))
            let inputs = [(raw.ipv4, mangle.ipv4), (raw.ipv6, mangle.ipv6)].map { raw, mangle in
                OwnChains.change("-D", OwnChains.remaining(of: present, raw: raw, mangle: mangle))
            }
            try filter.apply(ipv4: inputs[0], ipv6: inputs[1])
        } catch {
            // The queues are unbound next, and the rules let traffic by that nobody takes.
            logger.error("rules of an epoch could not be removed", metadata: ["error": "\(error)"])
        }
    }

    /// Which of the rules should be there and are not, for people.
    func missingRules() -> String? {
        let present = rules.withLockedValue { $0.present }
        do throws(GateError) {
            let (raw, mangle) = (try filter.rules(table: "raw"), try filter.rules(table: "mangle"))
            let areThere =
                OwnChains.hold(present, raw: raw.ipv4, mangle: mangle.ipv4)
                && OwnChains.hold(present, raw: raw.ipv6, mangle: mangle.ipv6)
            return areThere ? nil : "Rules of the gate were taken away."
        } catch {
            return "The rules of the gate could not be looked at: \(error)"
        }
    }
}
