import ArgumentParser
import SnapshotProtocol

/// Lists the exit codes.
struct ExitCodesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exit-codes", abstract: "Lists the exit codes.", discussion: Self.list)

    mutating func run() { CommandEnvironment.current.output(Self.list + "\n") }

    private static let list: String = {
        let codes = FailureCode.allCases.sorted { $0.exitCode < $1.exitCode }
        return
            (["0   success"]
            + codes.map { code in
                let number = String(code.exitCode)
                return number + String(repeating: " ", count: 4 - number.count) + code.rawValue
            }).joined(separator: "\n")
    }()
}
