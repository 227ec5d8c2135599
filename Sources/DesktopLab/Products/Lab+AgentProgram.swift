extension Lab {
    /// Runs the agent's program on a desktop to its end, as the desktop's owner would.
    ///
    /// - Parameter wrapper: a command that ends by running what is given to it, such as `setpriv …` or `unshare …`.
    package func agentProgram(
        _ arguments: [String], desktop: Int, through wrapper: [String] = []
    ) async throws -> CommandResult {
        let program = try ProductExecutables(configuration).path(of: "holdfast-agent")
        return try await run(wrapper + [program] + arguments, in: .desktop(desktop))
    }
}
