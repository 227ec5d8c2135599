import Foundation

/// A libvirtd as a desktop of its own would run it: with its own network, and with its own folders in place of the
/// machine's.
struct LibvirtDaemon: Sendable {
    let desktop: Int
    let topology: LabTopology
    let folders: LabFolders

    var namespace: String { topology.namespace(ofDesktop: desktop) }
    var role: String { "libvirtd of \(topology.hostName(ofDesktop: desktop))" }
    var uri: String { "qemu+unix:///system?socket=\(folders.socket(ofDesktop: desktop))" }

    private var qemuConfiguration: String {
        """
        user = "root"
        group = "root"
        security_driver = "none"
        stdio_handler = "file"
        cgroup_controllers = [ ]
        namespaces = [ ]
        remember_owner = 0

        """
    }

    private var daemonConfiguration: String {
        """
        auth_unix_ro = "none"
        auth_unix_rw = "none"
        host_uuid = "\(topology.uuid(ofDesktop: desktop))"

        """
    }

    /// What libvirtd found out about QEMU, which takes it seconds; it checks itself whether that still holds.
    private static var keptCapabilities: String { "\(GuestImage.cache)/libvirt-capabilities" }
    private var capabilities: String { "\(folders.libvirt(desktop, .cache))/qemu/capabilities" }

    func keepCapabilities() async throws {
        guard !FileManager.default.fileExists(atPath: Self.keptCapabilities),
            FileManager.default.fileExists(atPath: capabilities)
        else { return }
        let work = "\(Self.keptCapabilities).\(getpid())"
        try await Command.require(["cp", "-r", capabilities, work])
        // Another lab may have been first, with the same findings.
        if rename(work, Self.keptCapabilities) != 0 { try FileManager.default.removeItem(atPath: work) }
    }

    func writeFiles() throws {
        for part in LibvirtFolder.allCases {
            try FileManager.default.createDirectory(
                atPath: folders.libvirt(desktop, part), withIntermediateDirectories: true)
        }
        if FileManager.default.fileExists(atPath: Self.keptCapabilities),
            !FileManager.default.fileExists(atPath: capabilities)
        {
            try FileManager.default.createDirectory(
                atPath: "\(folders.libvirt(desktop, .cache))/qemu", withIntermediateDirectories: true)
            try FileManager.default.copyItem(atPath: Self.keptCapabilities, toPath: capabilities)
        }
        let etc = folders.libvirt(desktop, .etc)
        try qemuConfiguration.write(toFile: "\(etc)/qemu.conf", atomically: true, encoding: .utf8)
        try daemonConfiguration.write(toFile: "\(etc)/libvirtd.conf", atomically: true, encoding: .utf8)
    }

    /// Starts the daemon and waits until it answers; `record` is called with each process as soon as there is one.
    func start(record: @Sendable (DaemonProcess) async throws -> Void) async throws {
        try await mountRun()
        try writeFiles()
        let daemon = try await launch(record: record)
        let end = ContinuousClock.now + .seconds(40)
        while try await virsh(["version", "--daemon"]).status != 0 {
            guard daemon.isRunning, ContinuousClock.now < end else {
                throw LabError.timedOut(role, detail: LabFolders.tail(of: log))
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    /// In memory, as `/run` is on every desktop: libvirt writes the state of a domain there before and after most calls
    /// and waits until it is on the disk, which takes a hundred times as long on a real one.
    private func mountRun() async throws {
        let run = folders.libvirt(desktop, .run)
        try FileManager.default.createDirectory(atPath: run, withIntermediateDirectories: true)
        try await Command.require(["mount", "-t", "tmpfs", "-o", "size=64m,mode=755", "holdfast-lab", run])
    }

    private var log: String { folders.log("libvirtd-\(topology.hostName(ofDesktop: desktop))") }

    /// Starts the daemon on the files that are there.
    @discardableResult
    func launch(record: @Sendable (DaemonProcess) async throws -> Void) async throws -> DaemonProcess {
        // Mounts are made in the eyes of a process that only waits; the daemon then joins it.
        let holder = try DaemonProcess.start(
            ["ip", "netns", "exec", namespace, "unshare", "--mount", "--propagation", "private", "sleep", "infinity"],
            role: "mounts of \(topology.hostName(ofDesktop: desktop))", log: log)
        try await record(holder)
        try await wait(until: "sleep", holder)
        for part in LibvirtFolder.allCases {
            try await Command.require([
                "nsenter", "--mount=/proc/\(holder.pid)/ns/mnt", "mount", "--bind", folders.libvirt(desktop, part),
                part.place,
            ])
        }
        let daemon = try DaemonProcess.start(
            [
                "nsenter", "--mount=/proc/\(holder.pid)/ns/mnt", "--net=/run/netns/\(namespace)", "libvirtd",
                "--config", "/etc/libvirt/libvirtd.conf", "--pid-file", "\(folders.desktop(desktop))/libvirtd.pid",
            ], role: role, log: log)
        try await record(daemon)
        try await wait(until: "libvirtd", daemon)
        await holder.stop()
        return daemon
    }

    /// Waits until the process has become the program of that name.
    private func wait(until name: String, _ process: DaemonProcess) async throws {
        let end = ContinuousClock.now + .seconds(10)
        while (try? String(contentsOfFile: "/proc/\(process.pid)/comm", encoding: .utf8)) != "\(name)\n" {
            guard ContinuousClock.now < end, process.isRunning else {
                throw LabError.timedOut(role, detail: LabFolders.tail(of: log))
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    func virsh(_ arguments: [String]) async throws -> CommandResult {
        try await Command.run(["virsh", "--quiet", "--connect", uri] + arguments)
    }

    func requireVirsh(_ arguments: [String]) async throws {
        try await Command.require(["virsh", "--quiet", "--connect", uri] + arguments)
    }
}

extension LabFolders {
    /// The last lines of a log, for messages.
    static func tail(of path: String, lines: Int = 12) -> String {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return "" }
        return text.split(separator: "\n").suffix(lines).joined(separator: "\n")
    }
}
