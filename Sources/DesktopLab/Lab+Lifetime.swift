import Foundation

extension Lab {
    /// Makes a lab and waits until every machine talks to every other. On failure nothing of it is left.
    package static func up(
        _ configuration: LabConfiguration, progress: @escaping @Sendable (String) -> Void = { _ in }
    ) async throws -> Lab {
        try configuration.validate()
        guard try LabState.load(from: configuration.directory) == nil else {
            throw LabError.alreadyUp(configuration.directory)
        }
        // `down` removes all that is in it.
        let contents = (try? FileManager.default.contentsOfDirectory(atPath: configuration.directory)) ?? []
        guard contents.isEmpty else {
            throw LabError.badConfiguration("\(configuration.directory) is not empty: name another folder with --dir")
        }
        do {
            return try await LabBuilder(configuration, progress: progress).build()
        } catch {
            // Not by this task, which may have been cancelled.
            try await Task { try await down(configuration.directory) }.value
            throw error
        }
    }

    package func down() async throws { try await Lab.down(configuration.directory) }

    /// Ends everything of the lab in this folder and removes it. Does nothing where there is none.
    package static func down(_ directory: String = LabConfiguration.defaultDirectory) async throws {
        guard let state = try LabState.load(from: directory) else { return }
        let topology = LabTopology(state.configuration)
        // The products first, so that they put back what they changed while their libvirt is still there.
        for process in state.processes.reversed() { await process.stop() }

        let known = Set(
            try await Command.require(["ip", "netns", "list"]).split(separator: "\n")
                .compactMap { $0.split(separator: " ").first.map(String.init) })
        for namespace in topology.namespaces where known.contains(namespace) {
            try await endProcesses(in: namespace)
            try await Command.require(["ip", "netns", "del", namespace])
        }

        try await LabRooms.unmount(below: directory)

        // `up` took only an empty folder. The state last: as long as it is there, the rest can be found.
        for name in try FileManager.default.contentsOfDirectory(atPath: directory) where name != "lab.json" {
            try FileManager.default.removeItem(atPath: "\(directory)/\(name)")
        }
        for folder in state.createdFolders { rmdir(folder) }
        try FileManager.default.removeItem(atPath: LabFolders(root: directory).state)
        rmdir(directory)
    }

    /// Whatever lives in a namespace of the lab is the lab's: guests, and processes that were started but not yet
    /// written down when the lab crashed.
    private static func endProcesses(in namespace: String) async throws {
        let end = ContinuousClock.now + .seconds(15)
        while true {
            let pids = try await Command.require(["ip", "netns", "pids", namespace]).split(separator: "\n")
                .compactMap { Int32($0) }.filter { DaemonProcess.startTime(of: $0) != nil }
            if pids.isEmpty { return }
            guard ContinuousClock.now < end else {
                throw LabError.timedOut("the end of the processes in \(namespace)", detail: "\(pids)")
            }
            for pid in pids { kill(pid, SIGKILL) }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// What the lab's daemons are doing, in the order of their start.
    package func processes() throws -> [(process: DaemonProcess, isRunning: Bool)] {
        guard let state = try LabState.load(from: configuration.directory) else {
            throw LabError.notUp(configuration.directory)
        }
        return state.processes.filter { !$0.role.hasPrefix("mounts") }.map { ($0, $0.isRunning) }
    }
}
