import Foundation

/// Runs what blocks on a thread of its own, of which nothing is left afterwards.
enum BlockingThread {
    static func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: body()) }
        }
    }
}
