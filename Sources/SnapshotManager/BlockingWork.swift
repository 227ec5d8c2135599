import Dispatch

/// Runs what blocks on disks away from the threads that answer agents.
enum BlockingWork {
    /// A queue for each call: only a serial queue is given a thread whatever the others do. A concurrent one shares the few
    /// threads on which Swift's tasks run too, two for each processor at most, and when all of them block nothing goes on.
    private static var thread: DispatchQueue { DispatchQueue(label: "holdfast.manager.blocking") }

    static func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            thread.async { continuation.resume(returning: body()) }
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
