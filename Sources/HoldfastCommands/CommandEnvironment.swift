package import ManagerClient

/// What a command meets outside itself; tests put their own in place.
package struct CommandEnvironment: Sendable {
    /// Values of the process's environment.
    package var variables: [String: String]
    /// Whether progress is worth showing: standard error is a terminal.
    package var isInteractive: Bool
    package var output: @Sendable (String) -> Void
    package var error: @Sendable (String) -> Void
    /// Connects to the manager at an address, with the credentials in a folder. A nil address asks for the one that the
    /// credentials name.
    package var connect:
        @Sendable (_ address: String?, _ credentials: String) throws(ManagerCallError) -> any ManagerCalls

    package init(
        variables: [String: String], isInteractive: Bool, output: @escaping @Sendable (String) -> Void,
        error: @escaping @Sendable (String) -> Void,
        connect:
            @escaping @Sendable (_ address: String?, _ credentials: String) throws(ManagerCallError) -> any ManagerCalls
    ) {
        self.variables = variables
        self.isInteractive = isInteractive
        self.output = output
        self.error = error
        self.connect = connect
    }

    @TaskLocal static var current = CommandEnvironment.process
}
