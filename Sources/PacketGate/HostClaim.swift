// Its header brings the socket constants; which module shows them to Swift depends on the order of compilation.
import CNetfilterQueue
import Glibc

/// The claim of one agent on the packet filter of its network namespace: an abstract Unix socket, which belongs to the
/// namespace and goes with the process, however that ends.
package final class HostClaim: Sendable {
    private let descriptor: Int32

    /// Fails with `alreadyRunning` as long as another has it.
    package init() throws(GateError) {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .system("socket(AF_UNIX)", errno) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let name = Array("\0holdfast-packet-gate".utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + name.count)
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        // `deinit` closes the socket.
        guard code == 0 else { throw errno == EADDRINUSE ? .alreadyRunning : .system("bind(AF_UNIX)", errno) }
    }

    deinit { Glibc.close(descriptor) }
}
