import Glibc
import NIOConcurrencyHelpers

/// A thread of the packet path. It starts in the network namespace of the thread that creates it.
final class GateThread: Sendable {
    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    private let thread: NIOLockedValueBox<pthread_t?>

    /// - Parameter name: at most 15 octets, for `ps` and debuggers.
    init(name: String, _ body: @escaping @Sendable () -> Void) throws(GateError) {
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(
            Body {
                Self.rename(name)
                body()
            })
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, argument.toOpaque())
        guard code == 0 else {
            argument.release()
            throw .system("pthread_create", code)
        }
        self.thread = NIOLockedValueBox(thread)
    }

    private static func rename(_ name: String) {
        let descriptor = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        let bytes = Array(name.utf8.prefix(15))
        _ = write(descriptor, bytes, bytes.count)
        close(descriptor)
    }

    /// Waits for the end of the thread, once; later calls return at once.
    func join() {
        let joined = thread.withLockedValue { thread in
            defer { thread = nil }
            return thread
        }
        if let joined { pthread_join(joined, nil) }
    }
}
