import GRPCNIOTransportHTTP2Posix
import SnapshotProtocol

/// `HOST:PORT`, where HOST is a name, an IPv4 address, or an IPv6 address in brackets.
struct Endpoint: Sendable {
    let host: String
    let port: Int

    init(_ text: String) throws {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (1...65_535).contains(port), colon != text.startIndex
        else {
            throw Failure(.usage, "`\(text)` is no address of the form HOST:PORT.")
        }
        self.port = port
        host = String(text[..<colon].trimmingPrefix("[")).replacing("]", with: "")
    }

    var target: any ResolvableTarget {
        if host.contains(":") { return .ipv6(address: host, port: port) }
        let isAddress = host.split(separator: ".").count == 4 && host.allSatisfy { $0.isNumber || $0 == "." }
        return isAddress ? .ipv4(address: host, port: port) : .dns(host: host, port: port)
    }
}
