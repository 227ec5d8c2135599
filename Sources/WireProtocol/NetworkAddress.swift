import Glibc

/// An IP address or a name, and a port: where to dial or to listen.
package struct NetworkAddress: Hashable, Sendable, CustomStringConvertible {
    package enum Kind: Sendable { case ipv4, ipv6, name }

    package var host: String
    package var port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// `HOST:PORT` or `[IPV6]:PORT`; nil when it is neither. The transport ends the process on an IP address that is
    /// none, so nothing passes for one here that the system does not take.
    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65535).contains(port)
        else { return nil }
        let host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            self.init(host: String(host.dropFirst().dropLast()), port: port)
            guard kind == .ipv6 else { return nil }
        } else {
            self.init(host: String(host), port: port)
            guard kind == .ipv4 || Self.isName(self.host) else { return nil }
        }
    }

    package var kind: Kind {
        // C would see only what stands before it.
        guard !host.utf8.contains(0) else { return .name }
        var parsed = in6_addr()
        if inet_pton(AF_INET6, host, &parsed) == 1 { return .ipv6 }
        return inet_pton(AF_INET, host, &parsed) == 1 ? .ipv4 : .name
    }

    /// Whether it stands for every address of this machine.
    package var isWildcard: Bool { host == "0.0.0.0" || host == "::" }

    package var description: String { kind == .ipv6 ? "[\(host)]:\(port)" : "\(host):\(port)" }

    private static func isName(_ host: String) -> Bool {
        (1...253).contains(host.utf8.count)
            && host.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "-._".utf8.contains(byte)
                }
            }
    }
}
