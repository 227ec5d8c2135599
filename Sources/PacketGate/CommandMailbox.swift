import CNetfilterQueue
import Dispatch
import Glibc
import NIOConcurrencyHelpers

/// How other threads get work done on a polling thread: that thread polls `descriptor` and calls `runAll` when it is
/// readable. State that only commands and the thread's loop touch needs no lock.
final class CommandMailbox: Sendable {
    private struct State {
        var commands: [@Sendable () -> Void] = []
        var isClosed = false
    }

    /// An eventfd.
    let descriptor: Int32
    private let state = NIOLockedValueBox(State())

    init() throws(GateError) {
        descriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        guard descriptor >= 0 else { throw .system("eventfd", errno) }
    }

    deinit { Glibc.close(descriptor) }

    /// False when the thread has ended.
    @discardableResult
    func post(_ command: @escaping @Sendable () -> Void) -> Bool {
        let accepted = state.withLockedValue { state in
            guard !state.isClosed else { return false }
            state.commands.append(command)
            return true
        }
        if accepted {
            var one: UInt64 = 1
            _ = Glibc.write(descriptor, &one, MemoryLayout<UInt64>.size)
        }
        return accepted
    }

    /// Runs `body` on the thread and waits for its result; nil when the thread has ended. Must not be called on the
    /// thread itself.
    func perform<Result: Sendable>(_ body: @escaping @Sendable () -> Result) -> Result? { begin(body)() }

    /// Has `body` run on the thread; what is returned waits for its result. So several threads can work at once.
    func begin<Result: Sendable>(_ body: @escaping @Sendable () -> Result) -> () -> Result? {
        let answer = NIOLockedValueBox<Result?>(nil)
        let done = DispatchSemaphore(value: 0)
        let accepted = post {
            let result = body()
            answer.withLockedValue { $0 = result }
            done.signal()
        }
        return {
            guard accepted else { return nil }
            done.wait()
            return answer.withLockedValue { $0 }
        }
    }

    /// For the polling thread.
    func runAll() {
        var count: UInt64 = 0
        _ = Glibc.read(descriptor, &count, MemoryLayout<UInt64>.size)
        let commands = state.withLockedValue { state in
            defer { state.commands = [] }
            return state.commands
        }
        for command in commands { command() }
    }

    /// For the polling thread, as the last thing it does: whoever waits gets its answer, later callers are refused.
    func closeAndRunRest() {
        let rest = state.withLockedValue { state in
            defer { state.commands = [] }
            state.isClosed = true
            return state.commands
        }
        for command in rest { command() }
    }
}
