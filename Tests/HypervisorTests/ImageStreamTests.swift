import Foundation
import Glibc
import HypervisorConformance
import Testing

@testable import Hypervisor

@Suite struct ImageStreamTests {
    /// Writes on a thread of its own, as QEMU does; gives back how many bytes were taken.
    private func feed(_ bytes: [UInt8], into descriptor: Int32) async -> Int {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                var taken = 0
                while taken < bytes.count {
                    let count = bytes.withUnsafeBytes {
                        send(descriptor, $0.baseAddress! + taken, $0.count - taken, Int32(MSG_NOSIGNAL))
                    }
                    if count <= 0 { break }
                    taken += count
                }
                close(descriptor)
                continuation.resume(returning: taken)
            }
        }
    }

    private func pattern(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) } }

    @Test(arguments: [false, true]) func bytesComeInOrderBehindTheHeader(fullSpeedFirst: Bool) async throws {
        let (stream, remote) = try ImageStream.pair()
        let sink = CollectingSink()
        if fullSpeedFirst { stream.fullSpeed() }
        stream.start(header: [1, 2, 3], into: sink)
        let bytes = pattern(3 << 20)
        let feeding = Task { await feed(bytes, into: remote) }
        if !fullSpeedFirst { #expect(await feeding.value == bytes.count) }
        stream.fullSpeed()
        #expect(try await stream.bytesAtEnd() == UInt64(bytes.count))
        #expect(await feeding.value == bytes.count)
        #expect(stream.isComplete)
        #expect(sink.collected == [1, 2, 3] + bytes)
        await stream.idle()
    }

    @Test func nothingIsTakenFromTheWriterUntilItIsLetThrough() async throws {
        let (stream, remote) = try ImageStream.pair()
        let sink = CollectingSink()
        try stream.block()
        stream.start(header: [9], into: sink)
        #expect(stream.isBlocked)
        #expect(send(remote, [1], 1, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)) == -1)
        let bytes = pattern(1 << 20)
        let feeding = Task { await feed(bytes, into: remote) }
        #expect(stream.isBlocked)
        stream.unblock()
        stream.fullSpeed()
        #expect(try await stream.bytesAtEnd() == UInt64(bytes.count))
        #expect(await feeding.value == bytes.count)
        #expect(sink.collected == [9] + bytes)
        #expect(!stream.isBlocked)
    }

    /// Whoever has read from it, as the keeper does for an agent that is gone, has let the writer go on.
    @Test func aBlockedStreamThatSomebodyReadIsSeen() async throws {
        let (stream, remote) = try ImageStream.pair()
        defer { close(remote) }
        try stream.block()
        let other = try stream.anotherEnd()
        defer { close(other) }
        var octet: UInt8 = 0
        #expect(read(other, &octet, 1) == 1)
        #expect(!stream.isBlocked)
    }

    @Test func aBlockedImageThatIsGivenUpLetsTheWriterGo() async throws {
        let (stream, remote) = try ImageStream.pair()
        let sink = CollectingSink()
        try stream.block()
        stream.start(header: [], into: sink)
        let feeding = Task { await feed(pattern(2 << 20), into: remote) }
        stream.cancel()
        #expect(await feeding.value == 2 << 20)
        await stream.idle()
        #expect(sink.collected.isEmpty)
        #expect(!stream.isComplete)
    }

    @Test func anEndBeforeAnyByteIsAnEmptyImage() async throws {
        let (stream, remote) = try ImageStream.pair()
        stream.start(header: [7], into: CollectingSink())
        stream.fullSpeed()
        close(remote)
        #expect(try await stream.bytesAtEnd() == 0)
    }

    /// QEMU hangs when a background image is cut off: it must get rid of all.
    @Test func aSinkThatGivesUpDoesNotCutTheWriterOff() async throws {
        let (stream, remote) = try ImageStream.pair()
        let sink = CollectingSink(limit: 100_000)
        stream.start(header: [], into: sink)
        let taken = await feed(pattern(8 << 20), into: remote)
        #expect(taken == 8 << 20)
        await #expect(throws: HypervisorError.self) { try await stream.bytesAtEnd() }
        #expect(!stream.isComplete)
        #expect(sink.collected.count <= 100_000)
    }

    @Test func cancellingEndsWhoeverWaitsAndNotTheWriter() async throws {
        let (stream, remote) = try ImageStream.pair()
        let sink = CollectingSink()
        stream.start(header: [], into: sink)
        let waiting = Task { try await stream.bytesAtEnd() }
        let another = Task { try await stream.bytesAtEnd() }
        stream.cancel()
        await #expect(throws: HypervisorError.self) { try await waiting.value }
        await #expect(throws: HypervisorError.self) { try await another.value }
        #expect(await feed(pattern(3 << 20), into: remote) == 3 << 20)
        await stream.idle()
        #expect(sink.collected.isEmpty)
        await #expect(throws: HypervisorError.self) { try await stream.bytesAtEnd() }
        #expect(!stream.isComplete)
    }

    /// What still lies in the socket is not taken for a whole image.
    @Test func aCancelledImageIsNeverComplete() async throws {
        let (stream, remote) = try ImageStream.pair()
        #expect(await feed([1, 2, 3], into: remote) == 3)
        stream.cancel()
        let sink = CollectingSink()
        stream.start(header: [], into: sink)
        await stream.idle()
        await #expect(throws: HypervisorError.self) { try await stream.bytesAtEnd() }
        #expect(sink.collected.isEmpty)
    }

    @Test func aClosedStreamEndsItsReader() async throws {
        let (stream, remote) = try ImageStream.pair()
        stream.start(header: [], into: CollectingSink())
        stream.close()
        await stream.idle()
        #expect(await feed([1], into: remote) == 0)
    }

    @Test func aStreamThatWasNeverStartedIsIdle() async throws {
        let (stream, remote) = try ImageStream.pair()
        close(remote)
        await stream.idle()
    }
}
