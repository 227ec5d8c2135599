/// Where something listens: an IP address or a name, and a port.
package struct NetworkAddress: Hashable, Sendable, CustomStringConvertible {
    package enum Kind: Sendable { case ipv4, ipv6, name }

    package var host: String
    package var port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// `HOST:PORT` or `[IPV6]:PORT`; nil when it is neither.
    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65535).contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty else { return nil }
        self.init(host: String(host), port: port)
    }

    package var kind: Kind {
        if host.contains(":") { return .ipv6 }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { UInt8($0) != nil } ? .ipv4 : .name
    }

    /// Whether it stands for every address of this machine.
    package var isWildcard: Bool { host == "0.0.0.0" || host == "::" }

    package var description: String { kind == .ipv6 ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
