/// What `body` gives, or nil when it takes longer than `limit`. It then goes on unwatched: what hangs in a hypervisor
/// cannot be cancelled.
func answer<Value: Sendable>(
    within limit: Duration, _ body: @escaping @Sendable () async -> Value
) async -> Value? {
    let (values, value) = AsyncStream.makeStream(of: Value?.self)
    Task { value.yield(await body()) }
    let timer = Task {
        guard (try? await Task.sleep(for: limit)) != nil else { return }
        value.yield(nil)
    }
    defer { timer.cancel() }
    for await first in values { return first }
    return nil
}
