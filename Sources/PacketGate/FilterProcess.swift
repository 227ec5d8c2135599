// Its header brings the socket constants; which module shows them to Swift depends on the order of compilation.
import CNetfilterQueue
import Glibc

/// One run of a packet filter tool. Started with `posix_spawn` and no shell, in the network namespace of the calling
/// thread, because its latency is part of every hold.
final class FilterProcess {
    let process: pid_t
    private let program: String
    private var input: Int32
    private let output: Int32
    private var isReaped = false

    init(program: String, arguments: [String]) throws(GateError) {
        self.program = program
        // A socket pair for the input and not a pipe, so that a child that dies early costs an error and not a SIGPIPE.
        var inputs: [Int32] = [-1, -1]
        var outputs: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &inputs) == 0 else {
            throw .system("socketpair", errno)
        }
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &outputs) == 0 else {
            let code = errno
            for descriptor in inputs { close(descriptor) }
            throw .system("socketpair", code)
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, inputs[1], 0)
        posix_spawn_file_actions_adddup2(&actions, outputs[1], 1)
        posix_spawn_file_actions_adddup2(&actions, outputs[1], 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var defaults = sigset_t()
        sigemptyset(&defaults)
        sigaddset(&defaults, SIGPIPE)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var argv: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
        argv.append(nil)
        var environment: [UnsafeMutablePointer<CChar>?] = [strdup("PATH=/usr/sbin:/usr/bin:/sbin:/bin"), nil]
        defer { for string in argv + environment { free(string) } }
        var process = pid_t()
        let code = posix_spawn(&process, program, &actions, &attributes, &argv, &environment)
        environment[1] = nil
        close(inputs[1])
        close(outputs[1])
        guard code == 0 else {
            close(inputs[0])
            close(outputs[0])
            throw .system("posix_spawn(\(program))", code)
        }
        self.process = process
        input = inputs[0]
        output = outputs[0]
    }

    deinit {
        if input >= 0 { close(input) }
        close(output)
        if !isReaped {
            kill(process, SIGKILL)
            reap()
        }
    }

    /// Gives the whole input and its end. A child that has died shows in `finish`.
    func feed(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes { send(input, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if sent < 0 && errno == EINTR { continue }
            guard sent > 0 else { break }
            rest = rest.dropFirst(sent)
        }
        close(input)
        input = -1
    }

    /// Waits for the end of the child and returns what it printed.
    func finish(deadline: UInt64) throws(GateError) -> String {
        var printed: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 14)
        while true {
            let now = GateClock.monotonic
            var descriptor = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
            let ready = poll(&descriptor, 1, now < deadline ? Int32((deadline - now) / 1_000_000 + 1) : 0)
            if ready < 0 && errno == EINTR { continue }
            guard ready > 0 else {
                kill(process, SIGKILL)
                reap()
                throw .ruleFailed("\(program) did not end in time")
            }
            let count = Glibc.read(output, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            if count <= 0 { break }
            printed.append(contentsOf: buffer.prefix(count))
        }
        let status = reap()
        let text = String(decoding: printed, as: UTF8.self)
        guard status == 0 else {
            throw .ruleFailed("\(program) ended with status \(status): \(text.prefix(1_000))")
        }
        return text
    }

    @discardableResult
    private func reap() -> Int32 {
        var status: Int32 = -1
        while waitpid(process, &status, 0) < 0 && errno == EINTR {}
        isReaped = true
        return status
    }
}
