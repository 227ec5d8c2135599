import NIOConcurrencyHelpers

/// Keeps what a diagnosis tries out on VMs and gates apart from epochs and restores. Those never wait longer than a
/// trial takes to end, which is told at once that it is in the way; a trial never begins beside them.
final class TrialRoom: Sendable {
    private struct State {
        var jobs = 0
        var trial: (@Sendable () -> Void)?
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = NIOLockedValueBox(State())

    /// Runs a trial; nil when an epoch or a restore is under way, or another trial for longer than `patience`.
    ///
    /// - Parameter whenWanted: called when a job has come, on its thread. May be called after the trial.
    func trial<Value: Sendable>(
        patience: Duration = .seconds(10), whenWanted: @escaping @Sendable () -> Void = {},
        _ body: @Sendable () async -> Value
    ) async -> Value? {
        let end = ContinuousClock.now + patience
        while true {
            let (isIn, isHopeless) = state.withLockedValue { state in
                guard state.jobs == 0 else { return (false, true) }
                guard state.trial == nil else { return (false, false) }
                state.trial = whenWanted
                return (true, false)
            }
            if isIn { break }
            guard !isHopeless, ContinuousClock.now < end else { return nil }
            try? await Task.sleep(for: .milliseconds(20))
            if Task.isCancelled { return nil }
        }
        let value = await body()
        let waiting = state.withLockedValue { state in
            state.trial = nil
            defer { state.waiting = [] }
            return state.waiting
        }
        for job in waiting { job.resume() }
        return value
    }

    /// Runs an epoch or a restore, once the trial that is under way has ended.
    func job(_ body: @Sendable () async -> Void) async {
        let trial = state.withLockedValue { state in
            state.jobs += 1
            return state.trial
        }
        trial?()
        await withCheckedContinuation { continuation in
            let isFree = state.withLockedValue { state in
                guard state.trial != nil else { return true }
                state.waiting.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
        await body()
        state.withLockedValue { $0.jobs -= 1 }
    }
}
