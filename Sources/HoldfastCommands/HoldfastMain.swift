import ArgumentParser
import ManagerClient
import SnapshotProtocol

/// The whole of the program but its exit.
package enum HoldfastMain {
    /// Runs one command line and returns the code to exit with.
    package static func run(
        _ arguments: [String], environment: CommandEnvironment = .process
    ) async -> Int32 {
        await CommandEnvironment.$current.withValue(environment) {
            let command: any ParsableCommand
            do {
                command = try HoldfastCommand.parseAsRoot(arguments)
            } catch {
                return report(error, as: format(in: arguments))
            }
            do {
                if var asynchronous = command as? any AsyncParsableCommand {
                    try await asynchronous.run()
                } else {
                    var synchronous = command
                    try synchronous.run()
                }
                return 0
            } catch {
                return report(error, as: format(in: arguments))
            }
        }
    }

    private static func report(_ error: any Error, as format: OutputFormat) -> Int32 {
        let environment = CommandEnvironment.current
        if let error = error as? ManagerCallError {
            environment.error(ErrorRendering.render(error.failures, as: format))
            return error.code.exitCode
        }
        let code = HoldfastCommand.exitCode(for: error)
        let text = HoldfastCommand.fullMessage(for: error)
        guard !text.isEmpty else { return code.rawValue }
        guard code != .success else {
            // Help that was asked for, and completion scripts.
            environment.output(text + "\n")
            return code.rawValue
        }
        switch format {
        case .table: environment.error(text + "\n")
        case .json:
            environment.error(ErrorRendering.render([Failure(.usage, HoldfastCommand.message(for: error))], as: .json))
        }
        return code == .validationFailure ? FailureCode.usage.exitCode : code.rawValue
    }

    /// Also of a command line that could not be understood: whoever asked for JSON gets it.
    private static func format(in arguments: [String]) -> OutputFormat {
        if arguments.contains("--output=json") { return .json }
        guard let option = arguments.lastIndex(of: "--output"), option + 1 < arguments.count else { return .table }
        return OutputFormat(rawValue: arguments[option + 1]) ?? .table
    }
}
