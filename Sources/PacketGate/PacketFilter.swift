import Glibc
import NIOConcurrencyHelpers

/// The two families of the kernel's packet filter, changed by `iptables-restore` and `ip6tables-restore`.
///
/// Each change is one run of each tool, both at the same time; each table of an input is one atomic transaction. The
/// nf_tables variant is called by its own name where it has one, because only that one announces its transactions.
final class PacketFilter: Sendable {
    struct Output: Hashable, Sendable {
        var ipv4: String
        var ipv6: String
    }

    private static let deadline: UInt64 = 5_000_000_000

    private let restore: [String]
    private let save: [String]
    /// Processes started here, by which our own transactions are told from foreign ones.
    private let ownProcesses = NIOLockedValueBox<Set<pid_t>>([])

    init() throws(GateError) {
        restore = [try Self.find("iptables", "restore"), try Self.find("ip6tables", "restore")]
        save = [try Self.find("iptables", "save"), try Self.find("ip6tables", "save")]
    }

    private static func find(_ family: String, _ verb: String) throws(GateError) -> String {
        for name in ["\(family)-nft-\(verb)", "\(family)-\(verb)"] {
            for folder in ["/usr/sbin", "/sbin", "/usr/bin", "/usr/local/sbin"] {
                let path = "\(folder)/\(name)"
                if access(path, X_OK) == 0 { return path }
            }
        }
        throw .kernelLacks("the program \(family)-\(verb) (package iptables)")
    }

    func isOwn(process: pid_t) -> Bool { ownProcesses.withLockedValue { $0.contains(process) } }

    /// Forgets which processes were ours: for when nobody watches transactions, before numbers are used again.
    func forgetProcesses() { ownProcesses.withLockedValue { $0 = [] } }

    /// Applies the inputs to both families at the same time and returns when both are live. An empty input is left
    /// out. If it throws, one family may have been changed.
    func apply(ipv4: String, ipv6: String) throws(GateError) {
        let children = try start(restore, arguments: ["--noflush"], inputs: [ipv4, ipv6])
        _ = try finish(children)
    }

    /// Has the tools read an input without putting it into force.
    func tryOut(_ input: String) throws(GateError) {
        _ = try finish(try start(restore, arguments: ["--noflush", "--test"], inputs: [input, input]))
    }

    /// What the tools that change rules say of themselves.
    func versions() throws(GateError) -> [String] {
        try finish(try start(restore, arguments: ["--version"], inputs: [nil, nil])).map { text in
            String(text.split(separator: "\n").first ?? "")
        }
    }

    func apply(_ input: String) throws(GateError) { try apply(ipv4: input, ipv6: input) }

    /// The rules of one table in the form in which `apply` takes them; empty where there is no such table.
    func rules(table: String) throws(GateError) -> Output {
        let outputs = try finish(try start(save, arguments: ["-t", table], inputs: [nil, nil]))
        return Output(ipv4: outputs[0], ipv6: outputs[1])
    }

    private func start(
        _ programs: [String], arguments: [String], inputs: [String?]
    ) throws(GateError) -> [FilterProcess] {
        var children: [FilterProcess] = []
        for (program, input) in zip(programs, inputs) where input?.isEmpty != true {
            let child = try FilterProcess(program: program, arguments: arguments)
            // The child reads its input to the end before it commits, and the input comes only now: its number is known
            // before its transaction is.
            _ = ownProcesses.withLockedValue { $0.insert(child.process) }
            children.append(child)
        }
        for (child, input) in zip(children, inputs.filter { $0?.isEmpty != true }) { child.feed(input ?? "") }
        return children
    }

    private func finish(_ children: [FilterProcess]) throws(GateError) -> [String] {
        let deadline = GateClock.monotonic + Self.deadline
        var outputs: [String] = []
        var failure: GateError?
        for child in children {
            do {
                outputs.append(try child.finish(deadline: deadline))
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        return outputs
    }
}
