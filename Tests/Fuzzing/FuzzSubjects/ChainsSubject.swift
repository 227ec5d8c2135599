@testable import PacketGate

/// The bytes are what `iptables-save` prints of two tables, with an octet of zero between them.
enum ChainsSubject {
    private static let chains = [
        OwnChains.egress, OwnChains.ingress, OwnChains.colour, OwnChains.plain, OwnChains.fence,
    ]

    static func run(_ bytes: [UInt8]) throws {
        let texts = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        let (raw, mangle) = (texts[0], texts.count > 1 ? texts[1] : "")
        let isInstalled = OwnChains.areInstalled(raw: raw, mangle: mangle)
        try check(OwnChains.installation(raw: raw, mangle: mangle), of: raw + "\n" + mangle, makes: true)
        let removal = OwnChains.removal(raw: raw, mangle: mangle)
        try check(removal, of: raw + "\n" + mangle, makes: false)
        try Broken.unless(!isInstalled || !removal.isEmpty, "What is installed would not be removed.")
        try rules(raw: raw, mangle: mangle, isInstalled: isInstalled)
    }

    /// Whatever stands in the tables, nothing but our own chains, jumps to them and their removal may come out.
    private static func check(_ input: String, of text: String, makes: Bool) throws {
        let lines = text.split(separator: "\n")
        for line in input.split(separator: "\n") {
            switch line.first {
            case "*": try Broken.unless(["*raw", "*mangle"].contains(line), "\(line) is none of our tables.")
            case ":", "C": continue
            default:
                let words = line.split(separator: " ")
                try Broken.unless(
                    chains.contains { line.hasSuffix(" \($0)") || words.dropFirst().first ?? "" == $0 },
                    "\(line) is not about a chain of ours.")
                guard line.hasPrefix("-D ") else { continue }
                try Broken.unless(lines.contains("-A" + line.dropFirst(2)), "\(line) was not there to be deleted.")
            }
        }
        guard makes else { return }
        for chain in chains {
            try Broken.unless(input.contains(":\(chain) - "), "\(chain) would not be made.")
            try Broken.unless(input.contains(" 1 -j \(chain)\n"), "Nothing would lead to \(chain).")
        }
    }

    private static func rules(raw: String, mangle: String, isInstalled: Bool) throws {
        let wanted =
            [OwnRule.egress(tap: "tap0", queue: 7100), .ingress(tap: "tap0", queue: 7101), .plain(tap: "tap0")]
            + OwnRule.colouring(tap: "tap0")
        let found = OwnChains.remaining(of: wanted, raw: raw, mangle: mangle)
        let lines = (raw + "\n" + mangle).split(separator: "\n")
        try Broken.unless(found.allSatisfy { lines.contains("-A \($0)") }, "A rule was made up.")
        let holds = OwnChains.hold(wanted, raw: raw, mangle: mangle)
        try Broken.unless(isInstalled || !holds, "A gate is said to hold that nothing leads to.")
        try Broken.unless(OwnChains.hold([], raw: raw, mangle: mangle) == isInstalled, "No rule is missing.")
    }
}
