package import SnapshotProtocol

/// What the manager refuses or fails with: one failure or, when several members are concerned, one for each.
package struct ManagerError: Error, Hashable, Sendable, CustomStringConvertible {
    /// At least one; the first decides the exit code.
    package let failures: [Failure]

    package init(_ failure: Failure) { failures = [failure] }

    package init(_ code: FailureCode, _ message: String) { failures = [Failure(code, message)] }

    /// `failures` must not be empty.
    package init(_ failures: [Failure]) {
        precondition(!failures.isEmpty, "An error without a failure says nothing.")
        self.failures = failures
    }

    package var description: String { failures.map(\.description).joined(separator: " ") }

    /// What a process that fails with it ends with.
    package var exitCode: Int32 { failures[0].code.exitCode }
}
