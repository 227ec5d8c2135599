import Dispatch

/// Runs what blocks on disks away from the threads that answer agents.
enum BlockingWork {
    private static let queue = DispatchQueue(label: "holdfast.manager.blocking", attributes: .concurrent)

    static func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: body()) }
        }
    }

    static func run<Value: Sendable, Problem: Error>(
        _ body: @escaping @Sendable () throws(Problem) -> Value
    ) async throws(Problem) -> Value {
        let result: Result<Value, Problem> = await run {
            do throws(Problem) { return .success(try body()) } catch { return .failure(error) }
        }
        return try result.get()
    }
}
