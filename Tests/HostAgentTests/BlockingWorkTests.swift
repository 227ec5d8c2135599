import Dispatch
import NIOConcurrencyHelpers
import Testing

@testable import HostAgent

@Suite("Work that blocks", .timeLimit(.minutes(1)))
struct BlockingWorkTests {
    /// Returns when as many calls as that have begun.
    private final class Barrier: Sendable {
        private let everybody = DispatchSemaphore(value: 0)
        private let left: NIOLockedValueBox<Int>

        init(_ count: Int) { left = NIOLockedValueBox(count) }

        func pass() {
            let isLast = left.withLockedValue { left in
                left -= 1
                return left == 0
            }
            if isLast { everybody.signal() }
            everybody.wait()
            everybody.signal()
        }
    }

    @Test("Keeps no other such work waiting, however much of it there is")
    func manyAtOnce() async throws {
        let count = 40
        let barrier = Barrier(count)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<count { group.addTask { try await BlockingWork.run { barrier.pass() } } }
            try await group.waitForAll()
        }
    }
}
