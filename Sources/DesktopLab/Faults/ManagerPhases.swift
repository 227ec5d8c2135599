import Foundation
import NIOConcurrencyHelpers

/// Follows the manager from one phase of a job to the next, by its log: the line is written before anybody is told to do
/// what the phase consists of.
package final class ManagerPhases: Sendable {
    private struct State: Sendable {
        var entered: [(job: FaultCase.Job, phase: String)] = []
        var wanted: (job: FaultCase.Job, phase: String)?
        var action: (@Sendable () -> Void)?
        var waiter: CheckedContinuation<Bool, Never>?
        var ended = false
    }

    private let state = NIOLockedValueBox(State())
    private let path: String

    /// Follows the log from its present end.
    package init(log path: String) throws {
        self.path = path
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw LabError.timedOut("the log \(path)", detail: "") }
        lseek(file, 0, SEEK_END)
        Thread.detachNewThread { [self] in
            setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, -15)
            follow(file)
            close(file)
        }
    }

    /// The phase that was entered last.
    package var current: String { state.withLockedValue { $0.entered.last?.phase ?? "none" } }

    /// Calls `action` on the entry of a phase, at once and on the thread that sees it. Must be called before that; then
    /// `wait` says whether it came.
    package func onEntry(of phase: String, in job: FaultCase.Job, _ action: @escaping @Sendable () -> Void) {
        state.withLockedValue { state in
            state.wanted = (job, phase)
            state.action = action
        }
    }

    /// Whether the phase was entered; false when the following was ended before.
    package func entered() async -> Bool {
        await withCheckedContinuation { continuation in
            let answer: Bool? = state.withLockedValue { state in
                if state.wanted == nil { return true }
                if state.ended { return false }
                state.waiter = continuation
                return nil
            }
            if let answer { continuation.resume(returning: answer) }
        }
    }

    package func end() {
        let waiter = state.withLockedValue { state in
            state.ended = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: false)
    }

    private func follow(_ file: Int32) {
        var rest: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while !state.withLockedValue(\.ended) {
            let count = read(file, &buffer, buffer.count)
            guard count > 0 else {
                usleep(200)
                continue
            }
            rest += buffer[..<count]
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                note(String(decoding: rest[..<end], as: UTF8.self))
                rest.removeSubrange(...end)
            }
        }
    }

    private func note(_ line: String) {
        let job: FaultCase.Job
        if line.contains("Epoch enters a phase") {
            job = .snapshot
        } else if line.contains("Restore enters a phase") {
            job = .restore
        } else {
            return
        }
        guard let word = line.split(separator: " ").first(where: { $0.hasPrefix("phase=") }) else { return }
        let phase = String(word.dropFirst("phase=".count))
        let action: (@Sendable () -> Void)? = state.withLockedValue { state in
            state.entered.append((job, phase))
            guard let wanted = state.wanted, wanted == (job, phase) else { return nil }
            return state.action
        }
        guard let action else { return }
        action()
        let waiter = state.withLockedValue { state in
            state.wanted = nil
            state.action = nil
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: true)
    }
}
