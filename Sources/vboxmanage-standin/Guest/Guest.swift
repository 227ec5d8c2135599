import Foundation
import Glibc
import Hypervisor

/// The QEMU that stands for a VM's process.
struct Guest {
    enum RunState: Hashable {
        case absent
        case running
        /// QEMU's word for why.
        case stopped(String)
        case loading
        /// It does not answer.
        case silent
    }

    let machine: Machine

    private var base: String { "\(machine.home.folder)/run/\(machine.uuid)" }
    private var processFile: String { "\(base).pid" }
    var socket: String { "\(base).qmp" }
    /// There as long as nobody has switched the VM off in an orderly way.
    private var startedFile: String { "\(base).started" }

    var wasStarted: Bool { access(startedFile, F_OK) == 0 }

    /// Number of its process; nil when it has none.
    var process: Int32? {
        guard let text = try? String(contentsOfFile: processFile, encoding: .utf8),
            let number = Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)),
            let words = FileManager.default.contents(atPath: "/proc/\(number)/cmdline"),
            // The number may have been given to another process since.
            String(decoding: words, as: UTF8.self).contains(machine.uuid)
        else { return nil }
        return number
    }

    func monitor() throws -> MonitorSocket {
        do {
            return try MonitorSocket(path: socket, machineName: machine.model.name, patience: 10_000_000_000)
        } catch {
            throw Refusal("The guest's QEMU does not answer: \(error)", code: .failure)
        }
    }

    func runState() -> RunState {
        guard process != nil else { return .absent }
        guard let monitor = try? monitor(), let answer = try? monitor.execute(MonitorCommand.text("query-status"))
        else {
            return process == nil ? .absent : .silent
        }
        switch MonitorAnswer.runState(in: answer) ?? "unknown" {
        case "running": return .running
        case "inmigrate": return .loading
        case let state: return .stopped(state)
        }
    }

    // MARK: Life

    /// - Parameters:
    ///   - stateFile: a saved state to go on from.
    ///   - paused: whether it waits for a resume.
    func start(from stateFile: String?, paused: Bool) throws {
        // QEMU waits for ever for the beginning of a stream that is too short to have one.
        if let stateFile {
            let head = try? FileHandle(forReadingAtPath: stateFile)?.read(upToCount: 4)
            guard head == Data("QEVM".utf8) else {
                throw Refusal("The saved state '\(stateFile)' is damaged (VERR_SSM_INTEGRITY_MAGIC)", code: .fileError)
            }
        }
        _ = FileManager.default.createFile(atPath: startedFile, contents: nil)
        unlink(processFile)
        let command = try GuestCommand(machine: machine, socket: socket, processFile: processFile).words
        let extra = stateFile == nil ? [] : ["-incoming", "defer"]
        let result = try Program.run(command + ["-S", "-daemonize"] + extra)
        guard result.status == 0 else {
            unlink(startedFile)
            throw Refusal(result.errors, code: .failure)
        }
        if let stateFile { try load(stateFile) }
        if !paused { try execute("cont") }
    }

    private struct Destination: Encodable { var uri: String }

    /// As a shell wants a word.
    private func quoted(_ path: String) -> String {
        "'" + path.replacingOccurrences(of: "'", with: "'\\''") + "'"
    }

    private func load(_ path: String) throws {
        try execute("migrate-incoming", Destination(uri: "exec:cat \(quoted(path))"))
        for _ in 0..<36_000 {
            switch runState() {
            case .loading: usleep(5_000)
            case .running, .stopped: return
            case .absent, .silent:
                unlink(startedFile)
                throw Refusal("Failed to load unit 'cpum' or another (VERR_SSM_INTEGRITY)", code: .failure)
            }
        }
        throw Refusal("The saved state took too long", code: .failure)
    }

    @discardableResult
    private func execute(_ name: String) throws -> String {
        try refusing { () throws(HypervisorError) in try monitorOrThrow().execute(MonitorCommand.text(name)) }
    }

    @discardableResult
    private func execute(_ name: String, _ arguments: some Encodable) throws -> String {
        try refusing { () throws(HypervisorError) in
            try monitorOrThrow().execute(MonitorCommand.text(name, arguments))
        }
    }

    private func monitorOrThrow() throws(HypervisorError) -> MonitorSocket {
        try MonitorSocket(path: socket, machineName: machine.model.name, patience: 10_000_000_000)
    }

    private func refusing<Value>(_ body: () throws(HypervisorError) -> Value) throws -> Value {
        do throws(HypervisorError) {
            return try body()
        } catch {
            throw Refusal("\(error)", code: .failure)
        }
    }

    func pause() throws { try execute("stop") }

    func resume() throws {
        let monitor = try monitor()
        // What a command that was ended halfway was still writing.
        let status = MonitorAnswer.migration(in: try monitor.execute(MonitorCommand.text("query-migrate"))).status
        if ["setup", "active", "pre-switchover", "device"].contains(status) {
            try monitor.execute(MonitorCommand.text("migrate_cancel"))
            for _ in 0..<400 {
                let now = MonitorAnswer.migration(in: try monitor.execute(MonitorCommand.text("query-migrate"))).status
                if now != "cancelling", now != "active" { break }
                usleep(5_000)
            }
        }
        try monitor.execute(MonitorCommand.text("cont"))
    }

    /// Pulls the plug, and waits until the process is gone.
    func end() {
        if let process {
            kill(process, SIGKILL)
            while self.process == process, Self.isAlive(process) { usleep(5_000) }
        }
        for file in [processFile, socket, startedFile] { unlink(file) }
    }

    private static func isAlive(_ process: Int32) -> Bool {
        guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
            let end = text.lastIndex(of: ")")
        else { return false }
        return !text[end...].hasPrefix(") Z")
    }

    // MARK: Saving

    private struct Bandwidth: Encodable {
        var bandwidth = 1 << 40

        enum CodingKeys: String, CodingKey { case bandwidth = "max-bandwidth" }
    }

    /// Writes memory and devices of the guest, which is stopped, into a file.
    func saveState(to path: String) throws {
        let monitor = try monitor()
        try monitor.execute(MonitorCommand.text("migrate-set-parameters", Bandwidth()))
        try monitor.execute(MonitorCommand.text("migrate", Destination(uri: "exec:cat > \(quoted(path))")))
        while true {
            let migration = MonitorAnswer.migration(in: try monitor.execute(MonitorCommand.text("query-migrate")))
            switch migration.status {
            case "completed": return
            case "failed", "cancelled", "none":
                unlink(path)
                throw Refusal("Could not save the state: \(migration.error ?? migration.status)", code: .failure)
            default: usleep(5_000)
            }
        }
    }
}
