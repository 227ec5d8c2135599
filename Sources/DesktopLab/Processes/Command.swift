import Subprocess

/// What a command that ran to its end said.
package struct CommandResult: Hashable, Sendable {
    /// Exit code; 128 and the number of the signal for one that was killed.
    package var status: Int32
    package var standardOutput: String
    package var standardError: String

    package var succeeded: Bool { status == 0 }

    package init(status: Int32, standardOutput: String, standardError: String) {
        self.status = status
        self.standardOutput = standardOutput
        self.standardError = standardError
    }
}

/// Runs commands by argument arrays and collects what they say.
package enum Command {
    /// Bytes of output that are kept; a command that says more has failed.
    private static let outputLimit = 16 * 1024 * 1024

    /// - Parameter command: the program, looked up in PATH unless it is a path, and its arguments.
    package static func run(
        _ command: [String], environment: [String: String] = [:], input: String = ""
    ) async throws -> CommandResult {
        // A name is looked up in PATH; `env` also takes a path.
        let changes = Dictionary(
            uniqueKeysWithValues: environment.map { (Environment.Key(rawValue: $0)!, Optional($1)) })
        let result = try await Subprocess.run(
            .name("env"), arguments: Arguments(["--"] + command), environment: .inherit.updating(changes),
            input: .string(input), output: .string(limit: outputLimit), error: .string(limit: outputLimit))
        let status: Int32 =
            switch result.terminationStatus {
            case .exited(let code): code
            case .signaled(let signal): 128 + signal
            }
        return CommandResult(
            status: status, standardOutput: result.standardOutput, standardError: result.standardError)
    }

    /// Runs a command that must succeed, and returns its standard output.
    @discardableResult
    package static func require(
        _ command: [String], environment: [String: String] = [:], input: String = ""
    ) async throws -> String {
        let result = try await run(command, environment: environment, input: input)
        guard result.succeeded else {
            throw LabError.commandFailed(
                command.joined(separator: " "), status: "exit code \(result.status)",
                detail: result.standardError.isEmpty ? result.standardOutput : result.standardError)
        }
        return result.standardOutput
    }
}
