import Glibc

/// Takes the connections of peers with a lower index, of both address families.
final class Listener {
    let kind: Connection.Kind
    let descriptor: Int32

    init(kind: Connection.Kind) {
        self.kind = kind
        descriptor = socket(AF_INET6, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = kind.port.bigEndian
        let bound = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
            }
        }
        guard bound == 0, listen(descriptor, 64) == 0 else { fatalError("cannot listen: errno \(errno)") }
    }

    /// The next connection that waits, with the index of who made it.
    func accept() -> (descriptor: Int32, peer: Int)? {
        var address = sockaddr_in6()
        var size = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let accepted = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.accept(descriptor, $0, &size)
            }
        }
        guard accepted >= 0 else { return nil }
        _ = fcntl(accepted, F_SETFL, O_NONBLOCK)
        return (accepted, PeerAddress.peer(of: address))
    }
}
