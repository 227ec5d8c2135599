import Foundation

/// Killing the product's daemons and cutting links as a fault would, and putting it right as their units would.
extension Lab {
    package func killAgent(desktop: Int) async throws { try await killDaemon(agentRole(desktop)) }

    /// Returns when the manager sees the agent again.
    package func restartAgent(desktop: Int) async throws {
        try await restart(agentRole(desktop)) { try await $0.runAgent(desktop: desktop, record: $1) }
    }

    package func killManager() async throws { try await killDaemon(ProductDaemons.managerRole) }

    /// Returns when the manager answers.
    package func restartManager() async throws {
        try await restart(ProductDaemons.managerRole) { try await $0.runManager(record: $1) }
    }

    /// Kills a desktop's libvirtd; its guests run on.
    package func killLibvirt(desktop: Int) async throws { try await killDaemon(daemon(desktop).role) }

    /// Returns when libvirt answers.
    package func restartLibvirt(desktop: Int) async throws {
        let libvirt = daemon(desktop)
        guard try daemon(libvirt.role) == nil else { return }
        let lab = self
        try await libvirt.answers(try await libvirt.launch { try lab.replace($0) })
    }

    /// Cuts a desktop's link, or mends it. At the switch's end: on the desktop nothing is to be seen but that the carrier
    /// is gone.
    package func setLink(ofDesktop desktop: Int, up: Bool) async throws {
        try await Command.require([
            "ip", "-n", topology.switchNamespace, "link", "set", "desktop\(desktop)", up ? "up" : "down",
        ])
    }

    private func agentRole(_ desktop: Int) -> String {
        ProductDaemons.agentRole(topology.hostName(ofDesktop: desktop))
    }

    func daemon(_ role: String) throws -> DaemonProcess? {
        try processes().last { $0.process.role == role && $0.isRunning }?.process
    }

    /// Sends a signal to the process of that role, if it runs, at once.
    func signal(_ role: String, _ number: Int32) throws {
        guard let daemon = try daemon(role) else { return }
        kill(daemon.pid, number)
    }

    /// Writes down the process that has taken over a role.
    func replace(_ process: DaemonProcess) throws {
        guard var state = try LabState.load(from: configuration.directory) else {
            throw LabError.notUp(configuration.directory)
        }
        state.processes.removeAll { $0.role == process.role }
        state.processes.append(process)
        try state.save()
    }

    private func killDaemon(_ role: String) async throws {
        guard let daemon = try daemon(role) else { return }
        kill(daemon.pid, SIGKILL)
        while daemon.isRunning { try await Task.sleep(for: .milliseconds(5)) }
    }

    private func restart(
        _ role: String,
        _ run: (ProductDaemons, @Sendable (DaemonProcess) async throws -> Void) async throws -> Void
    ) async throws {
        guard try daemon(role) == nil else { return }
        let lab = self
        try await run(try ProductDaemons(configuration)) { try lab.replace($0) }
    }
}
