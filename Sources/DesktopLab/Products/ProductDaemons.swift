import Foundation

/// Starts the lab's manager and agents as their users would: by their command lines and configuration files.
struct ProductDaemons: Sendable {
    let topology: LabTopology
    let folders: LabFolders
    let manager: String
    let agent: String
    let client: String

    /// Ahead of the guests' emulation, as the units of both daemons have it.
    private let ahead = ["nice", "-n", "-10"]

    static let managerRole = "manager"
    static func agentRole(_ host: String) -> String { "agent of \(host)" }

    private static let patience = Duration.seconds(60)

    init(_ configuration: LabConfiguration) throws {
        topology = LabTopology(configuration)
        folders = LabFolders(root: configuration.directory)
        let executables = ProductExecutables(configuration)
        manager = try executables.path(of: "holdfast-manager")
        agent = try executables.path(of: "holdfast-agent")
        client = try executables.path(of: "holdfast")
    }

    private var managerEndpoint: String { "\(topology.managerAddress):\(topology.managerPort)" }

    func startManager(record: @Sendable (DaemonProcess) async throws -> Void) async throws {
        try FileManager.default.createDirectory(atPath: folders.repository, withIntermediateDirectories: true)
        let enter = ["ip", "netns", "exec", topology.managerNamespace]
        try await Command.require(
            enter + [
                manager, "init", "--state", folders.manager, "--name", "lab", "--repository", folders.repository,
                "--listen", managerEndpoint,
            ])
        try await runManager(record: record)
    }

    /// Starts the manager that was made before, and waits until it answers.
    func runManager(record: @Sendable (DaemonProcess) async throws -> Void) async throws {
        let daemon = try launchManager()
        try await record(daemon)
        try await wait(for: "the manager", daemon, folders.log("manager")) { try await self.agents() != nil }
    }

    func launchManager() throws -> DaemonProcess {
        var environment = ["HOLDFAST_MANAGER_LOG_LEVEL": "debug"]
        let configuration = topology.configuration
        if let budget = configuration.holdBudget ?? configuration.hypervisor.holdBudget {
            environment["HOLDFAST_MANAGER_HOLD_BUDGET"] = "\(budget)"
        }
        return try DaemonProcess.start(
            ["ip", "netns", "exec", topology.managerNamespace] + ahead
                + [manager, "run", "--config", "\(folders.manager)/manager.yaml"],
            role: ProductDaemons.managerRole, log: folders.log("manager"), environment: environment)
    }

    func startAgent(desktop: Int, record: @Sendable (DaemonProcess) async throws -> Void) async throws {
        let host = topology.hostName(ofDesktop: desktop)
        let token = try await Command.require([manager, "token", "--state", folders.manager, "--host", host])
            .trimmingCharacters(in: .whitespacesAndNewlines)
        for folder in [folders.agent(desktop), folders.storage(desktop)] {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        }
        let configuration = folders.agentConfiguration(desktop)
        try agentConfiguration(desktop).write(toFile: configuration, atomically: true, encoding: .utf8)
        let enter = ["ip", "netns", "exec", topology.namespace(ofDesktop: desktop)]
        try await Command.require(enter + [agent, "enroll", "--config", configuration, "--token", token])
        try await runAgent(desktop: desktop, record: record)
    }

    /// Starts an agent that was enrolled before, and waits until the manager sees it.
    func runAgent(desktop: Int, record: @Sendable (DaemonProcess) async throws -> Void) async throws {
        let host = topology.hostName(ofDesktop: desktop)
        let daemon = try launchAgent(desktop: desktop)
        try await record(daemon)
        try await wait(for: "the agent of \(host)", daemon, folders.log("agent-\(host)")) {
            try await self.agents()?.contains(host) ?? false
        }
    }

    func launchAgent(desktop: Int) throws -> DaemonProcess {
        let host = topology.hostName(ofDesktop: desktop)
        return try DaemonProcess.start(
            ["ip", "netns", "exec", topology.namespace(ofDesktop: desktop)] + ahead
                + [agent, "run", "--config", folders.agentConfiguration(desktop), "--log-level", "debug"],
            role: ProductDaemons.agentRole(host), log: folders.log("agent-\(host)"),
            environment: DesktopClock(topology.configuration, desktop: desktop)?.environment ?? [:])
    }

    private func agentConfiguration(_ desktop: Int) -> String {
        """
        host: \(topology.hostName(ofDesktop: desktop))
        state: \(folders.agent(desktop))
        repository: \(folders.repository)
        storage: \(folders.storage(desktop))
        libvirt: "\(uses(.libvirt) ? LibvirtDaemon(desktop: desktop, topology: topology, folders: folders).uri : "")"
        qemu:
          sockets: \(uses(.qemu) ? "[\"\(folders.guests(desktop))/*.qmp\"]" : "[]")
          machines: \(folders.agentMachines(desktop))
        virtualbox:
          command: "\(uses(.virtualbox) ? folders.virtualBoxCommand(desktop) : "")"
        allow: ["*"]
        gate:
          queueBase: 7100
        \(topology.configuration.queueLength.map { "  queueLength: \($0)" } ?? "")

        """
    }

    private func uses(_ kind: LabHypervisor) -> Bool { topology.configuration.hypervisor.uses(kind) }

    private struct AgentList: Decodable {
        struct Agent: Decodable {
            var host: String
            var connected: Bool
        }
        var agents: [Agent]
    }

    /// Host names of the connected agents; nil while the manager does not answer.
    private func agents() async throws -> [String]? {
        let result = try await Command.run(
            ["ip", "netns", "exec", topology.managerNamespace, client, "agents", "--output", "json"],
            environment: ["HOLDFAST_MANAGER": managerEndpoint, "HOLDFAST_CREDENTIALS": folders.credentials])
        guard result.status == 0 else { return nil }
        return try JSONDecoder().decode(AgentList.self, from: Data(result.standardOutput.utf8)).agents
            .filter(\.connected).map(\.host)
    }

    private func wait(
        for what: String, _ daemon: DaemonProcess, _ log: String, until isReady: () async throws -> Bool
    ) async throws {
        let end = ContinuousClock.now + ProductDaemons.patience
        while try await !isReady() {
            guard daemon.isRunning, ContinuousClock.now < end else {
                throw LabError.timedOut(what, detail: LabFolders.tail(of: log))
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }
}
