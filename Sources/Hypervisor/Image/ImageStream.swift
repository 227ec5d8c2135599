import Dispatch
import Foundation
import Glibc
import NIOConcurrencyHelpers

/// The agent's end of the unix socket into which QEMU writes the image.
package final class ImageStream: Sendable {
    private enum End: Sendable {
        case complete(bytes: UInt64)
        case failed(String)
    }

    private struct State: Sendable {
        var end: End?
        /// QEMU's end, kept until full speed so that its buffer can be made larger then.
        var remote: Int32?
        var cancelled = false
        /// Octets in the socket that are not of the image, and whether they still lie there.
        var filling = 0
        var blocked = false
        var waiters: [CheckedContinuation<Result<UInt64, HypervisorError>, Never>] = []
        /// Whether the thread that writes into the sink is there.
        var moving = false
        var idleWaiters: [CheckedContinuation<Void, Never>] = []
    }

    private let descriptor: Int32
    private let unblocked = DispatchSemaphore(value: 0)
    private let state = NIOLockedValueBox(State())

    /// A connected pair: this end, and the one for QEMU, which the caller closes once it has been handed over.
    package static func pair() throws(HypervisorError) -> (stream: ImageStream, remote: Int32) {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw .failed("Could not make a socket for the image: \(String(cString: strerror(errno))).")
        }
        setBuffer(ends[1], Pace.buffer)
        return (ImageStream(ends[0], remote: dup(ends[1])), ends[1])
    }

    private init(_ descriptor: Int32, remote: Int32) {
        self.descriptor = descriptor
        state.withLockedValue { $0.remote = remote }
    }

    deinit {
        fullSpeed()
        Glibc.close(descriptor)
    }

    /// Until the gates are open the image is moved at a walk: cutting the others, and the first steps of guests that run
    /// again, need the processor more. At first nearly every step of a guest is a write to a page that is not yet saved,
    /// and QEMU saves that page behind those it has begun, which must leave for it. So few pages at a time, and often: the
    /// rate is the same as with many at a time and long rests, and a guest waits a tenth as long.
    private enum Pace {
        /// Less than the kernel allows: it takes its least, one page and what goes with it.
        static let buffer: Int32 = 4 << 10
        static let chunk = 8 << 10
        /// Microseconds of rest after each chunk: with the kernel's own slack some 30 MiB/s.
        static let rest: UInt32 = 100
        static let fullBuffer: Int32 = 4 << 20
    }

    /// What waits for the walk is a guest; what waits for the rest of the image is nobody.
    private enum Niceness {
        static let walk: Int32 = -5
        static let fullSpeed: Int32 = 5
    }

    private static func setNiceness(_ niceness: Int32) {
        setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness)
    }

    private static func setBuffer(_ descriptor: Int32, _ size: Int32) {
        var size = size
        setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Lets the image be moved as fast as the sink takes it.
    package func fullSpeed() {
        let remote = state.withLockedValue { state in
            defer { state.remote = nil }
            return state.remote
        }
        guard let remote else { return }
        Self.setBuffer(remote, Pace.fullBuffer)
        Glibc.close(remote)
    }

    // MARK: Blocking

    /// Fills the socket, so that QEMU, told to write the image, prepares it and then stands still before its first
    /// octet: before it stops the guest. Must come before `start`.
    package func block() throws(HypervisorError) {
        guard let remote = state.withLockedValue(\.remote) else { return }
        var filling = 0
        while true {
            // One octet at a time: the kernel counts what a piece costs it, and takes none more once that is enough.
            let count = send(remote, [0], 1, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
            if count == 1 {
                filling += 1
            } else if errno == EAGAIN {
                break
            } else if errno != EINTR {
                throw .failed("Could not fill the image's socket: \(String(cString: strerror(errno))).")
            }
        }
        state.withLockedValue { state in
            state.filling = filling
            state.blocked = true
        }
    }

    /// Whether nothing of the image has come through yet.
    package var isBlocked: Bool {
        var waiting: Int32 = 0
        let filling = state.withLockedValue { $0.blocked ? $0.filling : nil }
        return ioctl(descriptor, UInt(FIONREAD), &waiting) == 0 && filling == Int(waiting)
    }

    /// Lets the image through.
    package func unblock() {
        let wasBlocked = state.withLockedValue { state in
            defer { state.blocked = false }
            return state.blocked
        }
        if wasBlocked { unblocked.signal() }
    }

    /// Takes out what `block` has put in. False at the end of the stream.
    private func dropFilling(into buffer: UnsafeMutableRawBufferPointer) -> Bool {
        let (filling, blocked) = state.withLockedValue { ($0.filling, $0.blocked) }
        if blocked { unblocked.wait() }
        var left = filling
        while left > 0 {
            let count = read(descriptor, buffer.baseAddress, left)
            if count == 0 || count < 0 && errno != EINTR { return false }
            left -= max(0, count)
        }
        return true
    }

    /// A second descriptor of this end, for whoever must read when this process cannot.
    package func anotherEnd() throws(HypervisorError) -> Int32 {
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else {
            throw .failed("Could not copy the image's socket: \(String(cString: strerror(errno))).")
        }
        return copy
    }

    private var walking: Bool { state.withLockedValue { $0.remote != nil } }

    /// Starts the thread that moves bytes from the socket into `sink`, after `header`.
    package func start(header: [UInt8], into sink: any ByteSink) {
        state.withLockedValue { $0.moving = true }
        Thread.detachNewThread {
            self.move(header: header, into: sink)
            let waiters = self.state.withLockedValue { state in
                state.moving = false
                defer { state.idleWaiters = [] }
                return state.idleWaiters
            }
            for waiter in waiters { waiter.resume() }
        }
    }

    /// Waits until nothing is written into the sink any more, so that its owner may put it away.
    package func idle() async {
        await withCheckedContinuation { continuation in
            let moving = state.withLockedValue { state in
                if state.moving { state.idleWaiters.append(continuation) }
                return state.moving
            }
            if !moving { continuation.resume() }
        }
    }

    private func move(header: [UInt8], into sink: any ByteSink) {
        let capacity = 1 << 20
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 4096)
        defer { buffer.deallocate() }
        var total: UInt64 = 0
        var walked = true
        Self.setNiceness(Niceness.walk)
        do {
            try header.withUnsafeBytes { try sink.write($0) }
            guard dropFilling(into: buffer) else {
                end(.failed("the image's socket was closed before QEMU wrote into it"))
                return
            }
            while true {
                let walking = walking
                if walked && !walking { Self.setNiceness(Niceness.fullSpeed) }
                walked = walking
                let count = read(descriptor, buffer.baseAddress, walking ? Pace.chunk : capacity)
                if count == 0 { break }
                if count < 0 {
                    if errno == EINTR { continue }
                    end(.failed("reading the image failed: \(String(cString: strerror(errno)))"))
                    return
                }
                if state.withLockedValue(\.cancelled) {
                    discard(into: buffer)
                    return
                }
                try sink.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                total += UInt64(count)
                if walking { usleep(Pace.rest) }
            }
            end(.complete(bytes: total))
        } catch {
            end(.failed("storing the image failed: \(error)"))
            fullSpeed()
            discard(into: buffer)
        }
    }

    /// Takes what QEMU still writes, to its end. A background image that fails must not be cut off: its thread ends
    /// with pages of the guest still write-protected, QEMU's main loop, which alone would lift that, runs into one of
    /// them, and the guest with its monitor hangs for good. (Seen with QEMU 7.2.)
    private func discard(into buffer: UnsafeMutableRawBufferPointer) {
        while true {
            let count = read(descriptor, buffer.baseAddress, buffer.count)
            if count == 0 || count < 0 && errno != EINTR { return }
        }
    }

    /// The first end counts: after a cancellation, for instance, the socket ends too.
    private func end(_ end: End) {
        let waiters = state.withLockedValue { state in
            if state.end == nil { state.end = end }
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume(returning: Self.result(end)) }
    }

    package var isComplete: Bool {
        state.withLockedValue { state in
            if case .complete = state.end { true } else { false }
        }
    }

    /// Whether no whole image can come of it any more.
    package var hasFailed: Bool {
        state.withLockedValue { state in
            if case .failed = state.end { true } else { false }
        }
    }

    /// Gives the image up, from any thread: what waits for its end fails at once, and the rest of it is thrown away.
    package func cancel() {
        state.withLockedValue { $0.cancelled = true }
        end(.failed("the image was given up"))
        fullSpeed()
        unblock()
    }

    /// Ends reading. Only once QEMU does not write any more: see `discard`.
    package func close() {
        cancel()
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    private static func result(_ end: End) -> Result<UInt64, HypervisorError> {
        switch end {
        case .complete(let bytes): .success(bytes)
        case .failed(let text): text.contains("No space") ? .failure(.noSpace(text)) : .failure(.failed(text))
        }
    }

    /// Waits for the end of the stream.
    package func bytesAtEnd() async throws(HypervisorError) -> UInt64 {
        let result: Result<UInt64, HypervisorError> = await withCheckedContinuation { continuation in
            let end: End? = state.withLockedValue { state in
                if state.end == nil { state.waiters.append(continuation) }
                return state.end
            }
            if let end { continuation.resume(returning: Self.result(end)) }
        }
        return try result.get()
    }
}
