package import SnapshotProtocol

/// Why a call did not give what was asked for: what the manager answered, or why it was not reached.
package struct ManagerCallError: Error, Hashable, Sendable, CustomStringConvertible {
    /// At least one; the first decides the exit code.
    package let failures: [Failure]

    package init(_ code: FailureCode, _ message: String) { failures = [Failure(code, message)] }

    /// `failures` must not be empty.
    package init(_ failures: [Failure]) {
        precondition(!failures.isEmpty, "An error without a failure says nothing.")
        self.failures = failures
    }

    package var code: FailureCode { failures[0].code }

    package var description: String { failures.map(\.description).joined(separator: "\n") }
}
