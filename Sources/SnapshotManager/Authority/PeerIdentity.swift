package import SnapshotProtocol
package import X509

/// Who a certificate of the manager's own authority says that its holder is.
///
/// It is a URI among the subject's alternative names: `holdfast://agent/HOST`, `holdfast://admin/NAME` or
/// `holdfast://manager/NAME`.
package enum PeerIdentity: Hashable, Sendable {
    case agent(HostName)
    case administrator(String)
    case manager(String)

    private static let scheme = "holdfast://"

    /// Nil when the certificate states no identity of ours, or more than one.
    package init?(_ certificate: Certificate) {
        guard let names = try? certificate.extensions.subjectAlternativeNames else { return nil }
        let identities = names.compactMap { name -> PeerIdentity? in
            guard case .uniformResourceIdentifier(let uri) = name else { return nil }
            return PeerIdentity(uri: uri)
        }
        guard identities.count == 1 else { return nil }
        self = identities[0]
    }

    package init?(uri: String) {
        guard uri.hasPrefix(Self.scheme) else { return nil }
        let parts = uri.dropFirst(Self.scheme.count).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let name = EntityName(String(parts[1])) else { return nil }
        switch parts[0] {
        case "agent": self = .agent(HostName(name.text))
        case "admin": self = .administrator(name.text)
        case "manager": self = .manager(name.text)
        default: return nil
        }
    }

    package var uri: String {
        switch self {
        case .agent(let host): "\(Self.scheme)agent/\(host)"
        case .administrator(let name): "\(Self.scheme)admin/\(name)"
        case .manager(let name): "\(Self.scheme)manager/\(name)"
        }
    }

    /// The plain name, as in the certificate's common name.
    package var name: String {
        switch self {
        case .agent(let host): host.rawValue
        case .administrator(let name), .manager(let name): name
        }
    }
}
