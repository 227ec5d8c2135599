import Foundation
import SnapshotProtocol
package import WireProtocol

/// Gives out one-time tokens. Works on the state alone, so also while the manager runs.
package struct TokenIssuer: Sendable {
    /// Seconds.
    package static let defaultLifetime: UInt64 = 24 * 3_600

    private let configuration: ManagerConfiguration
    private let catalog: Catalog
    private let authority: [UInt8]

    package init(_ configuration: ManagerConfiguration) throws(ManagerError) {
        let state = configuration.state
        let certificate = try state.read(state.authorityCertificate)
        self.configuration = configuration
        authority = try CertificateAuthority(certificate: certificate, key: state.read(state.authorityKey)).der
        catalog = try Catalog(path: state.catalog)
    }

    /// A token for `host`, good for `lifetime` seconds.
    package func issue(host: String, lifetime: UInt64 = defaultLifetime) async throws(ManagerError) -> EnrollmentToken {
        guard let name = EntityName(host) else {
            throw ManagerError(.usage, "\(host) is no name for a host: it takes \(EntityName.rule).")
        }
        var generator = SystemRandomNumberGenerator()
        let secret = (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        let token = EnrollmentToken(
            address: configuration.enrollmentAddress.description, host: HostName(name.text), secret: secret,
            authority: authority)
        try await catalog.addToken(
            secret: secret, host: token.host, expiresAt: WallClock.now &+ lifetime &* 1_000_000_000)
        return token
    }
}
