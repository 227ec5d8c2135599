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
    static let colour = "HOLDFAST-COLOUR"
    static let plain = "HOLDFAST-PLAIN"

    /// A chain of ours, where it is jumped to from, in the order in which packets shall meet them.
    private static let jumps: [(table: String, from: String, chain: String)] = [
        ("raw", "PREROUTING", fence), ("raw", "PREROUTING", egress), ("mangle", "PREROUTING", colour),
        ("mangle", "FORWARD", ingress), ("mangle", "POSTROUTING", plain),
    ]

    /// The bit of a packet's mark by which the gate says that the packet is to be coloured. It lives from the verdict in
    /// raw PREROUTING to the colouring chain in mangle PREROUTING.
    static let mark: UInt32 = 0x4000_0000

    /// One input that appends or deletes rules. Ingress and colour come first on the way in, so that whatever passes
    /// the closing egress gate is already seen at its receiver, and never with a colour of the guest's own.
    static func change(_ verb: String, _ rules: [String]) -> String {
        var text = ""
        for table in ["mangle", "raw"] {
            let chains = jumps.filter { $0.table == table }.map(\.chain)
            let own = rules.filter { rule in chains.contains { rule.hasPrefix("\($0) ") } }
            if own.isEmpty { continue }
            text += "*\(table)\n" + own.map { "\(verb) \($0)\n" }.joined() + "COMMIT\n"
        }
        return text
    }

    /// One rule of each kind in chains of no consequence, for the tools to read.
    static let trial: String = {
        let chain = "HOLDFAST-TRIAL"
        let rules =
            [OwnRule.egress(tap: "tap0", queue: 0), OwnRule.ingress(tap: "tap0", queue: 0), OwnRule.plain(tap: "tap0")]
            + OwnRule.colouring(tap: "tap0")
        return ["mangle", "raw"].map { table in
            let own = rules.filter { rule in jumps.contains { $0.table == table && $0.chain == rule.chain } }
            return "*\(table)\n:\(chain) - [0:0]\n"
                + own.map { "-A \(chain)\($0.text.dropFirst($0.chain.count))\n" }.joined() + "COMMIT\n"
        }.joined()
    }()

    static func fence(_ addresses: [HardwareAddress]) -> String {
        let rules = addresses.map { "-A \(fence) -m mac --mac-source \($0.description.uppercased()) -j DROP\n" }
        return "*raw\n:\(fence) - [0:0]\n" + rules.joined() + "COMMIT\n"
    }

    private enum Purpose {
        case install
        case complete
        case remove
    }

    /// What makes chains and jumps as they must be, with no rule in them, out of whatever is there.
    static func installation(raw: String, mangle: String) -> String { text(raw: raw, mangle: mangle, .install) }

    /// The same, but what is in the chains stays: it belongs to epochs that are open, or to a fence.
    static func completion(raw: String, mangle: String) -> String { text(raw: raw, mangle: mangle, .complete) }

    /// What takes away all that is ours; empty if nothing is.
    static func removal(raw: String, mangle: String) -> String { text(raw: raw, mangle: mangle, .remove) }

    private static func text(raw: String, mangle: String, _ purpose: Purpose) -> String {
        var text = ""
        for (table, rules) in [("mangle", mangle), ("raw", raw)] {
            let own = jumps.filter { $0.table == table }
            let present = Set(own.map(\.chain).filter { isPresent(chain: $0, in: rules) })
            if purpose == .remove && present.isEmpty { continue }
            text += "*\(table)\n"
            // A line of this form makes the chain, or empties it.
            for chain in own.map(\.chain) {
                let isWanted =
                    switch purpose {
                    case .install: true
                    case .complete: !present.contains(chain)
                    case .remove: present.contains(chain)
                    }
                if isWanted { text += ":\(chain) - [0:0]\n" }
            }
            for line in rules.split(separator: "\n") where own.contains(where: { isJump(line, to: $0.chain) }) {
                text += "-D" + line.dropFirst(2) + "\n"
            }
            if purpose == .remove {
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

    /// Whether all these rules are there, in chains that are jumped to.
    static func hold(_ rules: [OwnRule], raw: String, mangle: String) -> Bool {
        let lines = (raw + "\n" + mangle).split(separator: "\n")
        return areInstalled(raw: raw, mangle: mangle)
            && rules.allSatisfy { rule in lines.contains { rule.isPrinted(as: $0) } }
    }

    /// Those of these rules that are there, as the tools print them, without the leading `-A`.
    static func remaining(of rules: [OwnRule], raw: String, mangle: String) -> [String] {
        (raw + "\n" + mangle).split(separator: "\n").filter { line in rules.contains { $0.isPrinted(as: line) } }
            .map { String($0.dropFirst(3)) }
    }

    private static func isPresent(chain: String, in rules: String) -> Bool {
        rules.split(separator: "\n").contains { $0.hasPrefix(":\(chain) ") }
    }

    private static func isJump(_ line: Substring, to chain: String) -> Bool {
        line.hasPrefix("-A ") && !line.hasPrefix("-A HOLDFAST-")
            && (line.hasSuffix(" -j \(chain)") || line.hasSuffix(" -g \(chain)"))
    }
}
