import NIOConcurrencyHelpers

/// One call at a time for each VM, in the order in which they came.
///
/// Not an actor: whoever waits must get its turn also when its task has been cancelled, since it may be the resume.
final class MachineTurns: Sendable {
    private let waiting = NIOLockedValueBox<[String: [CheckedContinuation<Void, Never>]]>([:])

    func take<Value, Failure: Error>(
        _ machine: String, _ body: () async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        await withCheckedContinuation { continuation in
            let isFree = waiting.withLockedValue { waiting in
                guard waiting[machine] != nil else {
                    waiting[machine] = []
                    return true
                }
                waiting[machine]?.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
        defer { pass(machine) }
        return try await body()
    }

    private func pass(_ machine: String) {
        let next = waiting.withLockedValue { waiting -> CheckedContinuation<Void, Never>? in
            guard waiting[machine]?.isEmpty == false else {
                waiting[machine] = nil
                return nil
            }
            return waiting[machine]?.removeFirst()
        }
        next?.resume()
    }
}
