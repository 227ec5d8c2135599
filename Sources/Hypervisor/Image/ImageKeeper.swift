import Glibc
package import Logging
import NIOConcurrencyHelpers
import Subprocess
import SystemPackage

/// Reads on when the agent cannot any more.
///
/// A background image that fails can hang QEMU for good (see `ImageStream.discard`), and it fails when its last reader
/// goes. So for each image a process of its own shares the reading end with the agent. It does nothing while the agent
/// lives, and ends with the image; if the agent is killed, it takes the rest of the image and throws it away.
package final class ImageKeeper: Sendable {
    private let command: [String]
    private let logger: Logger
    /// A pair of sockets of which this process alone holds one: its end is this process's death.
    private let lifeline: (theirs: Int32, ours: Int32)

    /// - Parameter command: a program that calls `ImageKeeper.keep()`.
    package init(command: [String], logger: Logger) throws(HypervisorError) {
        precondition(!command.isEmpty)
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw .failed("Could not make a pair of sockets: \(String(cString: strerror(errno))).")
        }
        self.command = command
        self.logger = logger
        lifeline = (ends[0], ends[1])
    }

    deinit {
        close(lifeline.theirs)
        close(lifeline.ours)
    }

    /// Starts a process that keeps `image`, which is closed here. Returns when it runs.
    package func start(keeping image: Int32) async throws(HypervisorError) {
        let lifeline = fcntl(lifeline.theirs, F_DUPFD_CLOEXEC, 3)
        guard lifeline >= 0 else {
            close(image)
            throw .failed("Could not hand over a socket: \(String(cString: strerror(errno))).")
        }
        let started = Started()
        // A task of its own, since it lasts as long as the image.
        Task.detached { [self] in
            do {
                var platform = PlatformOptions()
                platform.createSession = true
                let result = try await Subprocess.run(
                    .path(FilePath(command[0])), arguments: Arguments(Array(command.dropFirst())),
                    platformOptions: platform,
                    input: .fileDescriptor(FileDescriptor(rawValue: lifeline), closeAfterSpawningProcess: true),
                    output: .fileDescriptor(FileDescriptor(rawValue: image), closeAfterSpawningProcess: true),
                    error: .discarded
                ) { _ in started.end(nil) }
                if !result.terminationStatus.isSuccess {
                    logger.warning("keeper of an image ended", metadata: ["status": "\(result.terminationStatus)"])
                }
            } catch {
                started.end("\(error)")
            }
        }
        if let failure = await started.failure() {
            throw .failed("Could not start the keeper of an image, \(command.joined(separator: " ")): \(failure).")
        }
    }

    /// Says once whether the process came up.
    private final class Started: Sendable {
        private struct State: Sendable {
            var isEnded = false
            var failure: String?
            var waiter: CheckedContinuation<String?, Never>?
        }

        private let state = NIOLockedValueBox(State())

        func end(_ failure: String?) {
            let waiter = state.withLockedValue { state in
                guard !state.isEnded else { return nil as CheckedContinuation<String?, Never>? }
                state.isEnded = true
                state.failure = failure
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume(returning: failure)
        }

        func failure() async -> String? {
            await withCheckedContinuation { continuation in
                let isEnded = state.withLockedValue { state in
                    if !state.isEnded { state.waiter = continuation }
                    return state.isEnded
                }
                if isEnded { continuation.resume(returning: state.withLockedValue(\.failure)) }
            }
        }
    }

    // MARK: In the other process

    /// The whole of the keeper's process: standard input is the lifeline, standard output the image's reading end.
    package static func keep() { keep(image: STDOUT_FILENO, lifeline: STDIN_FILENO) }

    /// Returns when nobody writes the image any more. Reads of it only once the lifeline has ended.
    static func keep(image: Int32, lifeline: Int32) {
        var polled = [pollfd(fd: lifeline, events: 0, revents: 0), pollfd(fd: image, events: 0, revents: 0)]
        while true {
            let count = poll(&polled, nfds_t(polled.count), -1)
            if count < 0 {
                if errno == EINTR { continue }
                return
            }
            // Without events asked for, only an end wakes.
            if polled[1].revents != 0 { return }
            if polled[0].revents != 0 { break }
        }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        while true {
            let count = read(image, buffer.baseAddress, buffer.count)
            if count == 0 || count < 0 && errno != EINTR { return }
        }
    }
}
