import Logging
import Subprocess
import SystemPackage

/// Runs a program of this host, VBoxManage above all: every call with a deadline, and one call at a time for each VM.
struct HostCommand: Sendable {
    private let command: [String]
    private let logger: Logger
    private let turns = MachineTurns()

    private var name: String { command.first { !$0.hasPrefix("-") } ?? "" }

    init(_ command: [String], logger: Logger) {
        self.command = command
        self.logger = logger
    }

    /// Octets that are kept of what it says.
    private static let limit = 4 << 20
    /// How long a session that another program holds is waited for.
    private static let lockPatience = Duration.seconds(4)

    /// - Parameter machine: the UUID of the VM that the call concerns.
    /// - Returns: what it wrote to standard output.
    @discardableResult
    func run(
        _ arguments: [String], machine: String? = nil, within patience: Duration
    ) async throws(ManageFailure) -> String {
        let start = ContinuousClock.now
        while true {
            do throws(ManageFailure) {
                guard let machine else { return try await once(arguments, within: patience) }
                return try await turns.take(machine) { () async throws(ManageFailure) -> String in
                    try await once(arguments, within: patience)
                }
            } catch {
                guard error.kind == .locked, ContinuousClock.now - start < Self.lockPatience else { throw error }
                await Self.rest(.milliseconds(250))
            }
        }
    }

    /// Also in a task that was cancelled.
    static func rest(_ duration: Duration) async {
        await Task { try? await Task.sleep(for: duration) }.value
    }

    private func once(_ arguments: [String], within patience: Duration) async throws(ManageFailure) -> String {
        // In tasks of their own: a caller that is cancelled must not cut off a call halfway; the deadline does.
        let call = Task { await self.result(of: arguments) }
        let deadline = Task {
            try await Task.sleep(for: patience)
            call.cancel()
        }
        let result = await call.value
        deadline.cancel()
        if call.isCancelled {
            let call = ([name] + arguments.prefix(3)).joined(separator: " ")
            logger.warning("call ended at its deadline", metadata: ["call": "\(call)"])
            throw ManageFailure(kind: .unavailable, text: "`\(call)` did not answer within \(patience)")
        }
        return try result.get()
    }

    private func result(of arguments: [String]) async -> Result<String, ManageFailure> {
        var platform = PlatformOptions()
        // A session and so a process group of its own, of which nothing is left after the deadline.
        platform.createSession = true
        platform.teardownSequence = [
            .gracefulShutDown(toProcessGroup: true, allowedDurationToNextStep: .seconds(2))
        ]
        do {
            let result = try await Subprocess.run(
                command[0].contains("/") ? .path(FilePath(command[0])) : .name(command[0]),
                arguments: Arguments(Array(command.dropFirst()) + arguments),
                // Its messages are translated otherwise.
                environment: .inherit.updating(["LC_ALL": "C", "LANGUAGE": nil]), platformOptions: platform,
                output: .string(limit: Self.limit), error: .string(limit: 256 << 10))
            switch result.terminationStatus {
            case .exited(0): return .success(result.standardOutput)
            case .exited(let code):
                return .failure(ManageFailure(status: code, standardError: result.standardError))
            case .signaled(let signal):
                return .failure(ManageFailure(kind: .other, text: "\(name) was ended by signal \(signal)"))
            }
        } catch {
            return .failure(
                ManageFailure(
                    kind: .unavailable,
                    text: "\(name) cannot be run (\(error)); install it, or name another in the agent's configuration"))
        }
    }
}
