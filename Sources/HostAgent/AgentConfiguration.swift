import Configuration
package import SnapshotProtocol
import SystemPackage

/// What the desktop's owner has set: a YAML file, over which environment variables `HOLDFAST_AGENT_…` take precedence.
package struct AgentConfiguration: Sendable {
    /// Name of this desktop, as in its certificate.
    package var host: HostName
    /// Folder for the agent's key, certificate and journals.
    package var state: String
    /// The repository, where it is mounted on this desktop.
    package var repository: String
    /// Folder for overlays during an epoch and for the disks of restored VMs.
    package var storage: String
    package struct QEMU: Sendable, Hashable {
        /// Patterns, as of a shell, of the monitor sockets of guests that others start.
        package var sockets: [String]
        /// Folder of the descriptions and sockets of guests that the agent itself starts.
        package var machines: String

        package init(sockets: [String], machines: String) {
            self.sockets = sockets
            self.machines = machines
        }
    }

    /// Connection URI of libvirt; empty: none.
    package var libvirt: String
    /// Guests under QEMU without libvirt; nil: none.
    package var qemu: QEMU?
    /// Path of VBoxManage; empty: no VirtualBox.
    package var virtualBox: String
    /// Whether VMs of VirtualBox that are restored here come with a window, on the desktop of whoever runs the agent.
    package var showsWindows: Bool
    /// Names of the VMs that may be snapshotted and restored here; `*` stands for all.
    package var allow: [String]
    /// First netfilter queue number; two are taken for each member of an epoch.
    package var queueBase: Int
    /// Packets that each queue may hold.
    package var queueLength: Int
    /// Receive buffer of each queue's socket, in bytes.
    package var receiveBuffer: Int

    package init(
        host: HostName, state: String, repository: String, storage: String, libvirt: String = "qemu:///system",
        qemu: QEMU? = nil, virtualBox: String = "", showsWindows: Bool = false, allow: [String] = ["*"],
        queueBase: Int = 7100, queueLength: Int = 65_536,
        receiveBuffer: Int = 16 << 20
    ) {
        self.host = host
        self.state = state
        self.repository = repository
        self.storage = storage
        self.libvirt = libvirt
        self.qemu = qemu
        self.virtualBox = virtualBox
        self.showsWindows = showsWindows
        self.allow = allow
        self.queueBase = queueBase
        self.queueLength = queueLength
        self.receiveBuffer = receiveBuffer
    }

    package static func load(from file: String) async throws -> AgentConfiguration {
        let yaml: FileProvider<YAMLSnapshot>
        do {
            yaml = try await FileProvider<YAMLSnapshot>(filePath: FilePath(file))
        } catch {
            throw Failure(.usage, "The configuration \(file) cannot be read: \(error). Name one with --config.")
        }
        let environment = EnvironmentVariablesProvider().prefixKeys(with: "holdfast.agent")
        let reader = ConfigReader(providers: [environment, yaml])
        func required(_ key: ConfigKey, _ what: String) throws -> String {
            guard let value = reader.string(forKey: key), !value.isEmpty else {
                throw Failure(.usage, "\(file) does not set `\(what)`. See agents/host-agent/packaging/agent.yaml.")
            }
            return value
        }
        let configuration = AgentConfiguration(
            host: HostName(try required("host", "host")),
            state: reader.string(forKey: "state", default: "/var/lib/holdfast/agent"),
            repository: try required("repository", "repository"),
            storage: reader.string(forKey: "storage", default: "/var/lib/holdfast/storage"),
            libvirt: reader.string(forKey: "libvirt", default: "qemu:///system"), qemu: qemu(reader),
            virtualBox: reader.string(forKey: "virtualbox.command", default: ""),
            showsWindows: reader.bool(forKey: "virtualbox.windows", default: false),
            allow: reader.stringArray(forKey: "allow", default: []),
            queueBase: reader.int(forKey: "gate.queueBase", default: 7100),
            queueLength: reader.int(forKey: "gate.queueLength", default: 65_536),
            receiveBuffer: reader.int(forKey: "gate.receiveBuffer", default: 16 << 20))
        try configuration.check(file: file)
        return configuration
    }

    private static func qemu(_ reader: ConfigReader) -> QEMU? {
        let sockets = reader.stringArray(forKey: "qemu.sockets", default: [])
        let machines = reader.string(forKey: "qemu.machines", default: "")
        if sockets.isEmpty && machines.isEmpty { return nil }
        return QEMU(sockets: sockets, machines: machines.isEmpty ? "/var/lib/holdfast/machines" : machines)
    }

    func check(file: String) throws {
        guard !libvirt.isEmpty || qemu != nil || !virtualBox.isEmpty else {
            throw Failure(
                .usage,
                "\(file) names no hypervisor. Set `libvirt`, for instance to qemu:///system, or `qemu.sockets`, or "
                    + "`virtualbox.command`.")
        }
        guard virtualBox.isEmpty || virtualBox.hasPrefix("/") else {
            throw Failure(.usage, "`virtualbox.command` in \(file) is `\(virtualBox)`; it must be an absolute path.")
        }
        for pattern in qemu?.sockets ?? [] where !pattern.hasPrefix("/") {
            throw Failure(.usage, "`qemu.sockets` in \(file) has `\(pattern)`; a pattern must be an absolute path.")
        }
        // The path of a socket has at most 107 bytes, and below the folder come a UUID and an ending.
        if let machines = qemu?.machines, !machines.hasPrefix("/") || machines.utf8.count > 60 {
            throw Failure(
                .usage, "`qemu.machines` in \(file) is `\(machines)`; choose an absolute path of at most 60 bytes.")
        }
        guard (0...65_000).contains(queueBase) else {
            throw Failure(.usage, "`gate.queueBase` in \(file) is \(queueBase); it must lie between 0 and 65000.")
        }
        guard (64...1_048_576).contains(queueLength) else {
            throw Failure(.usage, "`gate.queueLength` in \(file) is \(queueLength); choose 64 to 1048576 packets.")
        }
        guard (65_536...1 << 30).contains(receiveBuffer) else {
            throw Failure(.usage, "`gate.receiveBuffer` in \(file) is \(receiveBuffer); choose 65536 bytes to 1 GiB.")
        }
    }

    /// Folder for the overlays of epochs.
    package var workspace: String { storage + "/epochs" }

    package func allows(_ machine: String) -> Bool { allow.contains("*") || allow.contains(machine) }
}
