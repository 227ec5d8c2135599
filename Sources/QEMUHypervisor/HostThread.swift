import Foundation
import Glibc
import Hypervisor

/// Runs blocking calls on a thread of their own, never on those of Swift's tasks.
struct HostThread: Sendable {
    /// File of the network namespace in which the guests' taps are; nil: this process's own.
    var namespace: String?

    func run<Value: Sendable>(
        _ body: @escaping @Sendable () throws(HypervisorError) -> Value
    ) async throws(HypervisorError) -> Value {
        let result: Result<Value, HypervisorError> = await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                let result: Result<Value, HypervisorError>
                do throws(HypervisorError) {
                    try self.enter()
                    result = .success(try body())
                } catch {
                    result = .failure(error)
                }
                continuation.resume(returning: result)
            }
        }
        return try result.get()
    }

    /// The thread ends with its work, so it need not come back.
    private func enter() throws(HypervisorError) {
        guard let namespace else { return }
        typealias SetNamespace = @convention(c) (Int32, Int32) -> Int32
        let file = open(namespace, O_RDONLY | O_CLOEXEC)
        defer { if file >= 0 { close(file) } }
        guard file >= 0, let symbol = dlsym(nil, "setns"),
            unsafeBitCast(symbol, to: SetNamespace.self)(file, 0x4000_0000) == 0
        else { throw .noRights("The network namespace \(namespace) cannot be entered.") }
    }
}
