import Packets

/// A rule of one epoch in one of the gate's own chains. It concerns one tap.
struct OwnRule: Hashable {
    var chain: String
    private var tap: String
    private var match: String
    private var target: String

    /// What the guest behind a tap emits goes to a queue. A queue that nobody is bound to lets it by.
    static func egress(tap: String, queue: UInt16) -> OwnRule {
        OwnRule(
            chain: OwnChains.egress, tap: tap, match: "-m physdev --physdev-in \(tap)", target: queueing(queue))
    }

    /// What is bridged to a tap goes to a queue.
    static func ingress(tap: String, queue: UInt16) -> OwnRule {
        OwnRule(
            chain: OwnChains.ingress, tap: tap, match: "-m physdev --physdev-is-bridged --physdev-out \(tap)",
            target: queueing(queue))
    }

    /// The colour of what the guest behind a tap emits is what the gate's mark says, whatever the guest has set; then
    /// the mark is taken off, for no other rule of the host shall meet it.
    static func colouring(tap: String) -> [OwnRule] {
        let bit = hexadecimal(UInt32(Colour.bit))
        let mark = "\(hexadecimal(OwnChains.mark))/\(hexadecimal(OwnChains.mark))"
        let match = "-m physdev --physdev-in \(tap) -m mark"
        return [
            ("\(match) --mark \(mark)", "TOS --set-tos \(bit)/\(bit)"),
            ("\(match) ! --mark \(mark)", "TOS --set-tos 0x00/\(bit)"),
            ("\(match) --mark \(mark)", "MARK --set-xmark 0x0/\(hexadecimal(OwnChains.mark))"),
        ].map { OwnRule(chain: OwnChains.colour, tap: tap, match: $0.0, target: $0.1) }
    }

    /// What is bridged to a tap loses the colour.
    static func plain(tap: String) -> OwnRule {
        OwnRule(
            chain: OwnChains.plain, tap: tap, match: "-m physdev --physdev-is-bridged --physdev-out \(tap)",
            target: "TOS --set-tos 0x00/\(hexadecimal(UInt32(Colour.bit)))")
    }

    /// For the packet filter's input, behind a verb.
    var text: String { "\(chain) \(match) -j \(target)" }

    /// Whether a line of saved rules is this rule. The tools print a rule as they like, so of the match only the tap is
    /// compared, and of the target its words.
    func isPrinted(as line: Substring) -> Bool {
        guard line.hasPrefix("-A \(chain) ") else { return false }
        let words = Set(line.split(separator: " "))
        return words.contains(tap[...]) && target.split(separator: " ").allSatisfy(words.contains)
    }

    private static func queueing(_ queue: UInt16) -> String { "NFQUEUE --queue-num \(queue) --queue-bypass" }

    /// As the tools print it: at least two digits.
    private static func hexadecimal(_ value: UInt32) -> String {
        let digits = String(value, radix: 16)
        return "0x" + (digits.count < 2 ? "0" : "") + digits
    }
}
