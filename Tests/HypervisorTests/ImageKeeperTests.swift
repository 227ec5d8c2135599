import Foundation
import Glibc
import Logging
import Testing

@testable import Hypervisor

@Suite struct ImageKeeperTests {
    private struct Pair {
        var near: Int32
        var far: Int32

        init() throws {
            var ends: [Int32] = [-1, -1]
            try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
            near = ends[0]
            far = ends[1]
        }
    }

    private func keep(_ image: Int32, _ lifeline: Int32) async {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                ImageKeeper.keep(image: image, lifeline: lifeline)
                close(image)
                continuation.resume()
            }
        }
    }

    @Test(.timeLimit(.minutes(1))) func takesTheRestOnceTheAgentIsGone() async throws {
        let image = try Pair()
        let lifeline = try Pair()
        let kept = Task { await keep(image.near, lifeline.near) }
        let small = [UInt8](repeating: 1, count: 1000)
        #expect(send(image.far, small, small.count, Int32(MSG_NOSIGNAL)) == small.count)
        try await Task.sleep(for: .milliseconds(50))
        var waiting: Int32 = 0
        #expect(ioctl(image.near, UInt(FIONREAD), &waiting) == 0)
        #expect(waiting == 1000, "nothing may be taken from a living agent")

        close(lifeline.far)
        let rest = [UInt8](repeating: 2, count: 1 << 16)
        for _ in 0..<64 {
            var taken = 0
            while taken < rest.count {
                let count = rest.withUnsafeBytes {
                    send(image.far, $0.baseAddress! + taken, $0.count - taken, Int32(MSG_NOSIGNAL))
                }
                try #require(count > 0, "the reading end is gone")
                taken += count
            }
        }
        close(image.far)
        await kept.value
        close(lifeline.near)
    }

    @Test(.timeLimit(.minutes(1))) func endsWithTheImage() async throws {
        let image = try Pair()
        let lifeline = try Pair()
        let kept = Task { await keep(image.near, lifeline.near) }
        close(image.far)
        await kept.value
        close(lifeline.near)
        close(lifeline.far)
    }

    @Test func aProgramThatIsNotThereIsAnError() async throws {
        let keeper = try ImageKeeper(command: ["/nonexistent/keeper"], logger: .init(label: "test"))
        let (stream, remote) = try ImageStream.pair()
        defer { close(remote) }
        await #expect(throws: (any Error).self) { try await keeper.start(keeping: stream.anotherEnd()) }
    }
}
