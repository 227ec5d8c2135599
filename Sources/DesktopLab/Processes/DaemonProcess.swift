import Foundation

#if canImport(Glibc)
    import Glibc
#endif

/// A process that outlives the program that started it, told from later ones of the same number by its start time.
package struct DaemonProcess: Hashable, Sendable, Codable {
    /// What it does in the lab, such as `libvirtd of desktop-1`.
    package var role: String
    package var pid: Int32
    /// Clock ticks after the machine's start.
    package var startTime: UInt64

    /// Starts a command in a session of its own, its output appended to `log`.
    static func start(
        _ command: [String], role: String, log: String, environment: [String: String] = [:]
    ) throws -> DaemonProcess {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o640)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A test runner blocks and ignores signals that a daemon must get.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigdefault(&attributes, &all)
        let newSession: Int32 = 0x80  // POSIX_SPAWN_SETSID, which the header hides from Swift
        posix_spawnattr_setflags(
            &attributes, Int16(newSession | Int32(POSIX_SPAWN_SETSIGMASK) | Int32(POSIX_SPAWN_SETSIGDEF)))

        var variables = ProcessInfo.processInfo.environment
        variables.merge(environment) { $1 }
        var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        var words: [UnsafeMutablePointer<CChar>?] = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { (arguments + words).forEach { free($0) } }
        var pid: pid_t = 0
        let failure = posix_spawnp(&pid, command[0], &actions, &attributes, &arguments, &words)
        guard failure == 0 else {
            throw LabError.commandFailed(
                command.joined(separator: " "), status: String(cString: strerror(failure)), detail: "")
        }
        return DaemonProcess(role: role, pid: pid, startTime: startTime(of: pid) ?? 0)
    }

    package var isRunning: Bool {
        // Reaps it if it was ours; a zombie does not run.
        var status: Int32 = 0
        _ = waitpid(pid, &status, WNOHANG)
        return DaemonProcess.startTime(of: pid) == startTime
    }

    /// Asks the process to end, and makes it end if it has not after `patience`.
    func stop(patience: Duration = .seconds(3)) async {
        guard isRunning else { return }
        kill(pid, SIGTERM)
        let end = ContinuousClock.now + patience
        while isRunning, ContinuousClock.now < end { try? await Task.sleep(for: .milliseconds(20)) }
        guard isRunning else { return }
        kill(pid, SIGKILL)
        while isRunning { try? await Task.sleep(for: .milliseconds(10)) }
    }

    /// Nil when there is no such process, or when it is a zombie.
    static func startTime(of pid: Int32) -> UInt64? {
        guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/stat") else { return nil }
        let text = String(decoding: data, as: UTF8.self)
        // The name, in brackets, may hold anything.
        guard let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
        return UInt64(fields[19])
    }
}
