import CLibvirt
import Dispatch
import Glibc
import Hypervisor
import NIOConcurrencyHelpers

/// A connection to one libvirtd that opens itself anew when it was lost.
///
/// libvirt's calls block; they run on threads of their own, never on those of Swift's tasks.
final class LibvirtConnection: Sendable {
    let uri: String
    private let handle = NIOLockedValueBox<Handle?>(nil)
    /// A queue for each call: only a serial queue is given a thread whatever the others do. A concurrent one shares the few
    /// threads on which Swift's tasks run too, two for each processor at most, and when all of them block nothing goes on.
    private var thread: DispatchQueue { DispatchQueue(label: "holdfast.libvirt") }

    /// An open connection, closed with the last reference to it: a call in flight keeps it alive.
    final class Handle: @unchecked Sendable {
        // SAFETY: libvirt connections may be used from any thread; the pointer itself never changes.
        let pointer: virConnectPtr

        init(_ pointer: virConnectPtr) { self.pointer = pointer }

        deinit { virConnectClose(pointer) }
    }

    init(uri: String) {
        self.uri = uri
        // libvirt writes to its daemon's socket so that a daemon which has just died ends this process with that signal.
        signal(SIGPIPE, SIG_IGN)
        LibvirtEventLoop.start()
    }

    /// The open connection, opened now if need be. Blocks.
    func open() throws(HypervisorError) -> Handle {
        let result: Result<Handle, HypervisorError> = handle.withLockedValue { current in
            if let alive = current, virConnectIsAlive(alive.pointer) == 1 { return .success(alive) }
            current = nil
            guard let pointer = virConnectOpen(uri) else {
                return .failure(LibvirtFailure.last().error(doing: "connect to libvirt at \(uri)"))
            }
            virConnectSetKeepAlive(pointer, 5, 3)
            let opened = Handle(pointer)
            current = opened
            return .success(opened)
        }
        return try result.get()
    }

    /// Runs blocking calls on a thread of their own.
    func run<Value: Sendable>(
        _ body: @escaping @Sendable (Handle) throws(HypervisorError) -> Value
    ) async throws(HypervisorError) -> Value {
        let result: Result<Value, HypervisorError> = await withCheckedContinuation { continuation in
            thread.async {
                let result: Result<Value, HypervisorError>
                do throws(HypervisorError) {
                    result = .success(try body(try self.open()))
                } catch {
                    result = .failure(error)
                }
                continuation.resume(returning: result)
            }
        }
        return try result.get()
    }
}
