import Foundation
import Glibc

/// Runs a program to its end.
///
/// Not by Foundation's `Process`, which waits for every child that a program leaves behind, such as QEMU as a daemon.
enum Program {
    /// - Returns: exit code and what was written to standard error.
    static func run(_ words: [String]) throws -> (status: Int32, errors: String) {
        let log = "/tmp/vboxmanage-standin-\(getpid())-\(UInt32.random(in: 0...UInt32.max)).log"
        defer { unlink(log) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        var arguments = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var process: pid_t = 0
        let result = posix_spawnp(&process, words[0], &actions, nil, &arguments, environ)
        guard result == 0 else {
            throw Refusal("\(words[0]) cannot be started: \(String(cString: strerror(result)))", code: .failure)
        }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 && errno == EINTR {}
        let said = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        let exited = status & 0x7F == 0
        return (
            exited ? status >> 8 & 0xFF : 128 + (status & 0x7F), said.trimmingCharacters(in: .whitespacesAndNewlines)
        )
    }
}
