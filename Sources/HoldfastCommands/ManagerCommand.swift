import ArgumentParser
import ManagerClient
import SnapshotProtocol

/// A verb that asks the manager something and writes the answer.
protocol ManagerCommand: AsyncParsableCommand {
    var connection: ConnectionOptions { get }

    func ask(_ manager: any ManagerCalls) async throws(ManagerCallError) -> Answer
}

extension ManagerCommand {
    mutating func run() async throws {
        let answer = try await ask(try connection.connect())
        let environment = CommandEnvironment.current
        if case .table = connection.output {
            for warning in answer.warnings { environment.error("holdfast: \(warning)\n") }
        }
        environment.output(answer.rendered(as: connection.output))
        if let code = answer.exitCode { throw ExitCode(code.exitCode) }
    }
}
