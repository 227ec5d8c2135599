import Packets

/// The gate's own chains, and the texts that change them.
///
/// The chains and the jumps to them are made once, when the agent starts, and stay until it stops: making a table's
/// first base chain registers a hook, and unregistering any base chain of a network namespace makes the kernel drop
/// every packet that waits in a queue. So nothing here ever removes a base chain: an empty built-in table may stay
/// behind.
struct OwnChains {
    static let egress = "HOLDFAST-EGRESS"
    static let ingress = "HOLDFAST-INGRESS"
    static let fence = "HOLDFAST-FENCE"

    /// A chain of ours, where it is jumped to from, in the order in which packets shall meet them.
    private static let jumps: [(table: String, from: String, chain: String)] = [
        ("raw", "PREROUTING", fence), ("raw", "PREROUTING", egress), ("mangle", "FORWARD", ingress),
    ]

    static func egressRule(tap: String, queue: UInt16) -> String {
        "\(egress) -m physdev --physdev-in \(tap) -j NFQUEUE --queue-num \(queue) --queue-bypass"
    }

    static func ingressRule(tap: String, queue: UInt16) -> String {
        "\(ingress) -m physdev --physdev-is-bridged --physdev-out \(tap) -j NFQUEUE --queue-num \(queue)"
            + " --queue-bypass"
    }

    /// One input that appends or deletes rules. Ingress comes first on the way in, so that whatever passes the closing
    /// egress gate is already seen at its receiver.
    static func change(_ verb: String, egress: [String], ingress: [String]) -> String {
        var text = ""
        for (table, rules) in [("mangle", ingress), ("raw", egress)] where !rules.isEmpty {
            text += "*\(table)\n" + rules.map { "\(verb) \($0)\n" }.joined() + "COMMIT\n"
        }
        return text
    }

    static func fence(_ addresses: [HardwareAddress]) -> String {
        let rules = addresses.map { "-A \(fence) -m mac --mac-source \($0.description.uppercased()) -j DROP\n" }
        return "*raw\n:\(fence) - [0:0]\n" + rules.joined() + "COMMIT\n"
    }

    /// What makes chains and jumps as they must be, with no rule in them, out of whatever is there.
    static func installation(raw: String, mangle: String) -> String { text(raw: raw, mangle: mangle, remove: false) }

    /// What takes away all that is ours; empty if nothing is.
    static func removal(raw: String, mangle: String) -> String { text(raw: raw, mangle: mangle, remove: true) }

    private static func text(raw: String, mangle: String, remove: Bool) -> String {
        var text = ""
        for (table, rules) in [("mangle", mangle), ("raw", raw)] {
            let own = jumps.filter { $0.table == table }
            let present = Set(own.map(\.chain).filter { isPresent(chain: $0, in: rules) })
            if remove && present.isEmpty { continue }
            text += "*\(table)\n"
            // A line of this form makes the chain, or empties it.
            for jump in own where !remove || present.contains(jump.chain) { text += ":\(jump.chain) - [0:0]\n" }
            for line in rules.split(separator: "\n") where own.contains(where: { isJump(line, to: $0.chain) }) {
                text += "-D" + line.dropFirst(2) + "\n"
            }
            if remove {
                for chain in present.sorted() { text += "-X \(chain)\n" }
            } else {
                for jump in own.reversed() { text += "-I \(jump.from) 1 -j \(jump.chain)\n" }
            }
            text += "COMMIT\n"
        }
        return text
    }

    /// Whether chains and jumps are there, so that rules put into them work.
    static func areInstalled(raw: String, mangle: String) -> Bool {
        jumps.allSatisfy { jump in
            let rules = jump.table == "raw" ? raw : mangle
            return isPresent(chain: jump.chain, in: rules)
                && rules.split(separator: "\n").contains { $0 == "-A \(jump.from) -j \(jump.chain)" }
        }
    }

    /// Whether all rules with these queues are there, in chains that are jumped to. The tools print a rule as they
    /// like, so only tap and queue are compared.
    static func holdsRules(_ pairs: [(chain: String, tap: String, queue: UInt16)], raw: String, mangle: String) -> Bool
    {
        areInstalled(raw: raw, mangle: mangle)
            && pairs.allSatisfy { pair in
                ownRules(queues: [pair.queue], in: pair.chain == ingress ? mangle : raw).contains { line in
                    line.hasPrefix("\(pair.chain) ") && line.split(separator: " ").contains { $0 == pair.tap }
                }
            }
    }

    /// The rules in our chains that lead to one of these queues, without the leading `-A`.
    static func ownRules(queues: Set<UInt16>, in rules: String) -> [String] {
        rules.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count > 2, words[0] == "-A", words[1] == egress || words[1] == ingress,
                let place = words.firstIndex(of: "--queue-num"), place + 1 < words.count,
                let queue = UInt16(words[place + 1]), queues.contains(queue)
            else { return nil }
            return String(line.dropFirst(3))
        }
    }

    private static func isPresent(chain: String, in rules: String) -> Bool {
        rules.split(separator: "\n").contains { $0.hasPrefix(":\(chain) ") }
    }

    private static func isJump(_ line: Substring, to chain: String) -> Bool {
        line.hasPrefix("-A ") && !line.hasPrefix("-A HOLDFAST-")
            && (line.hasSuffix(" -j \(chain)") || line.hasSuffix(" -g \(chain)"))
    }
}
