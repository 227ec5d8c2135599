import NIOConcurrencyHelpers

/// Lets a job be cancelled from anywhere, also before it has come so far that it can be.
final class JobHandle: Sendable {
    private struct State {
        var cancelled = false
        var action: (@Sendable () -> Void)?
    }

    private let state = NIOLockedValueBox(State())

    var isCancelled: Bool { state.withLockedValue { $0.cancelled } }

    func cancel() {
        let action = state.withLockedValue { state in
            state.cancelled = true
            return state.action
        }
        action?()
    }

    /// From now on `action` is what cancelling does; at once, if it has been asked for.
    func onCancel(_ action: @escaping @Sendable () -> Void) {
        let cancelled = state.withLockedValue { state in
            state.action = action
            return state.cancelled
        }
        if cancelled { action() }
    }
}
