import Dispatch
import Glibc
import Hypervisor
import NIOConcurrencyHelpers
import Testing

@testable import LibvirtHypervisor

/// On libvirt's own test driver, which needs no daemon.
@Suite(.timeLimit(.minutes(1))) struct LibvirtConnectionTests {
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

    /// A write to the socket of a daemon that has just died must fail and not end the process.
    @Test func brokenPipesAreNoSignals() {
        signal(SIGPIPE, SIG_DFL)
        _ = LibvirtConnection(uri: "test:///default")
        var pipe: [Int32] = [-1, -1]
        #expect(Glibc.pipe(&pipe) == 0)
        close(pipe[0])
        #expect(write(pipe[1], [0], 1) == -1 && errno == EPIPE)
        close(pipe[1])
    }

    @Test func callsThatBlockKeepNobodyWaiting() async throws {
        let count = 40
        let connection = LibvirtConnection(uri: "test:///default")
        let barrier = Barrier(count)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<count { group.addTask { try await connection.run { _ in barrier.pass() } } }
            try await group.waitForAll()
        }
    }
}
