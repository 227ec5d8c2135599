import GRPCNIOTransportHTTP2Posix
import SnapshotProtocol
import WireProtocol

/// Where the manager listens, as the transport takes it.
struct Endpoint: Sendable {
    private let address: NetworkAddress

    /// `HOST:PORT`, where HOST is a name, an IPv4 address, or an IPv6 address in brackets.
    init(_ text: String) throws(Failure) {
        guard let address = NetworkAddress(text), address.port > 0 else {
            throw Failure(.usage, "`\(text)` is no address of the form HOST:PORT.")
        }
        self.address = address
    }

    var target: any ResolvableTarget {
        switch address.kind {
        case .ipv6: .ipv6(address: address.host, port: address.port)
        case .ipv4: .ipv4(address: address.host, port: address.port)
        case .name: .dns(host: address.host, port: address.port)
        }
    }
}
