import Crypto
import Foundation
package import SnapshotProtocol
import SwiftASN1
package import WireProtocol
package import X509

/// The manager's own authority: the only one that agents, manager and administrators trust.
package struct CertificateAuthority: Sendable {
    /// A certificate with its private key, both PEM.
    package struct Credentials: Sendable {
        package let certificate: String
        package let key: String
    }

    /// Serial number and DER of a certificate that was issued.
    package struct Issued: Sendable {
        package let serial: String
        package let der: [UInt8]
    }

    package let certificate: Certificate
    private let key: Certificate.PrivateKey

    private static let day: TimeInterval = 86_400
    /// The authority outlives what it issues: an expired one means enrolling every host anew.
    private static let authorityLifetime = 20 * 365 * day
    private static let leafLifetime = 5 * 365 * day
    /// Clocks of desktops are not in step.
    private static let backdating = day

    /// A new authority.
    package init(name: String) throws(ManagerError) {
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        do {
            let subject = try DistinguishedName {
                CommonName("\(name) authority")
                OrganizationName("Holdfast")
            }
            let now = Date()
            certificate = try Certificate(
                version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: key.publicKey,
                notValidBefore: now - Self.backdating, notValidAfter: now + Self.authorityLifetime,
                issuer: subject, subject: subject, signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                    Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                    SubjectKeyIdentifier(hash: key.publicKey)
                },
                issuerPrivateKey: key)
        } catch {
            throw ManagerError(.internalError, "The authority's certificate could not be made: \(error).")
        }
        self.key = key
    }

    /// The authority whose certificate and key were written as PEM.
    package init(certificate: String, key: String) throws(ManagerError) {
        do {
            self.certificate = try Certificate(pemEncoded: certificate)
            self.key = try Certificate.PrivateKey(pemEncoded: key)
        } catch {
            throw ManagerError(
                .internalError, "The authority's certificate or key cannot be read: \(error). Restore them from backup."
            )
        }
        guard self.certificate.publicKey == self.key.publicKey else {
            throw ManagerError(
                .internalError, "The authority's key is not that of its certificate. Restore both from backup.")
        }
    }

    package var credentials: Credentials {
        get throws(ManagerError) { try Self.credentials(certificate, key) }
    }

    /// The certificate's DER.
    package var der: [UInt8] {
        get throws(ManagerError) { try Self.der(certificate) }
    }

    /// A certificate for the manager itself, valid for `addresses` and for loopback.
    package func issueManager(name: String, addresses: [NetworkAddress]) throws(ManagerError) -> Credentials {
        var names: [GeneralName] = []
        for host in Set(addresses.filter { !$0.isWildcard }.map(\.host) + ["localhost", "127.0.0.1", "::1"]).sorted() {
            let address = NetworkAddress(host: host, port: 0)
            switch address.kind {
            case .name: names.append(.dnsName(host))
            case .ipv4, .ipv6:
                guard let octets = Self.octets(of: address) else {
                    throw ManagerError(.usage, "\(host) is no IP address.")
                }
                names.append(.ipAddress(ASN1OctetString(contentBytes: octets[...])))
            }
        }
        return try issue(.manager(name), usages: [.serverAuth], alternativeNames: names)
    }

    package func issueAdministrator(name: String) throws(ManagerError) -> Credentials {
        try issue(.administrator(name), usages: [.clientAuth], alternativeNames: [])
    }

    /// A certificate for the agent of `host`, whose key is that of a signing request (PKCS #10, DER). Nothing else of
    /// the request is taken over.
    package func issueAgent(_ host: HostName, signingRequest: [UInt8]) throws(ManagerError) -> Issued {
        let request: CertificateSigningRequest
        do {
            request = try CertificateSigningRequest(derEncoded: signingRequest)
        } catch {
            throw ManagerError(.usage, "The signing request cannot be read: \(error).")
        }
        guard request.publicKey.isValidSignature(request.signature, for: request) else {
            throw ManagerError(.usage, "The signing request is not signed with its own key.")
        }
        let certificate = try sign(
            .agent(host), key: request.publicKey, usages: [.clientAuth], alternativeNames: [])
        return Issued(serial: Self.serial(of: certificate), der: try Self.der(certificate))
    }

    /// Hexadecimal.
    package static func serial(of certificate: Certificate) -> String {
        certificate.serialNumber.bytes.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }

    private func issue(
        _ identity: PeerIdentity, usages: [ExtendedKeyUsage.Usage], alternativeNames: [GeneralName]
    ) throws(ManagerError) -> Credentials {
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let certificate = try sign(
            identity, key: key.publicKey, usages: usages, alternativeNames: alternativeNames)
        return try Self.credentials(certificate, key)
    }

    private func sign(
        _ identity: PeerIdentity, key publicKey: Certificate.PublicKey, usages: [ExtendedKeyUsage.Usage],
        alternativeNames: [GeneralName]
    ) throws(ManagerError) -> Certificate {
        do {
            let now = Date()
            return try Certificate(
                version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: publicKey,
                notValidBefore: now - Self.backdating,
                notValidAfter: min(now + Self.leafLifetime, certificate.notValidAfter),
                issuer: certificate.subject,
                subject: try DistinguishedName {
                    CommonName(identity.name)
                    OrganizationName("Holdfast")
                },
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    Critical(KeyUsage(digitalSignature: true))
                    try ExtendedKeyUsage(usages)
                    SubjectAlternativeNames(alternativeNames + [.uniformResourceIdentifier(identity.uri)])
                    AuthorityKeyIdentifier(
                        keyIdentifier: SubjectKeyIdentifier(hash: certificate.publicKey).keyIdentifier)
                },
                issuerPrivateKey: key)
        } catch {
            throw ManagerError(.internalError, "The certificate for \(identity.name) could not be made: \(error).")
        }
    }

    private static func credentials(
        _ certificate: Certificate, _ key: Certificate.PrivateKey
    ) throws(ManagerError) -> Credentials {
        do {
            return Credentials(
                certificate: try certificate.serializeAsPEM().pemString + "\n",
                key: try key.serializeAsPEM().pemString + "\n")
        } catch {
            throw ManagerError(.internalError, "A certificate could not be written: \(error).")
        }
    }

    private static func der(_ certificate: Certificate) throws(ManagerError) -> [UInt8] {
        do {
            var serializer = DER.Serializer()
            try serializer.serialize(certificate)
            return serializer.serializedBytes
        } catch {
            throw ManagerError(.internalError, "A certificate could not be written: \(error).")
        }
    }

    /// The address in network order.
    private static func octets(of address: NetworkAddress) -> [UInt8]? {
        switch address.kind {
        case .name: return nil
        case .ipv4: return address.host.split(separator: ".").compactMap { UInt8($0) }
        case .ipv6:
            var parsed = in6_addr()
            guard inet_pton(AF_INET6, address.host, &parsed) == 1 else { return nil }
            return withUnsafeBytes(of: &parsed) { [UInt8]($0) }
        }
    }
}
