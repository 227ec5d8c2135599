import ArgumentParser
import Glibc
import SnapshotProtocol

/// Prints what went wrong to standard error and ends with the exit code of its kind.
func reportingFailures(_ body: () async throws -> Void) async throws {
    do {
        try await body()
    } catch let failure as Failure {
        let line = Array("holdfast-agent: \(failure)\n".utf8)
        _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
        throw ExitCode(failure.code.exitCode)
    }
}
