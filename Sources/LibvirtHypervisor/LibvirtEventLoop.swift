import CLibvirt
import Dispatch
import Glibc
import NIOConcurrencyHelpers

/// The process's one libvirt event loop: without it libvirt delivers neither events nor keepalives.
enum LibvirtEventLoop {
    private static let started = NIOLockedValueBox(false)

    /// Starts the loop's thread. Must come before the first connection is opened; further calls do nothing.
    static func start() {
        started.withLockedValue { running in
            guard !running else { return }
            running = true
            virInitialize()
            // Without a handler of its own libvirt prints every error to standard error, also those we handle.
            virSetErrorFunc(nil) { _, _ in }
            virEventRegisterDefaultImpl()
            // A timer keeps the loop turning even before the first connection has a socket in it.
            virEventAddTimeout(1_000, { _, _ in }, nil, nil)
            var thread = pthread_t()
            pthread_create(
                &thread, nil, { _ in while true { if virEventRunDefaultImpl() < 0 { usleep(100_000) } } }, nil)
            pthread_detach(thread)
        }
    }
}
