import Dispatch

/// Runs calls that block (rule changes, files, fsync) on threads of their own, so that Swift's few stay free.
enum BlockingWork {
    /// A queue for each call: only a serial queue is given a thread whatever the others do. A concurrent one shares the few
    /// threads on which Swift's tasks run too, two for each processor at most, and when all of them block nothing goes on.
    private static var thread: DispatchQueue { DispatchQueue(label: "holdfast.blocking", qos: .userInitiated) }

    static func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            thread.async { continuation.resume(with: Result { try body() }) }
        }
    }
}
