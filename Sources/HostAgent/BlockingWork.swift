import Dispatch

/// Runs calls that block (rule changes, files, fsync) on threads of their own, so that Swift's few stay free.
enum BlockingWork {
    private static let threads = DispatchQueue(label: "holdfast.blocking", qos: .userInitiated, attributes: .concurrent)

    static func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            threads.async { continuation.resume(with: Result { try body() }) }
        }
    }
}
