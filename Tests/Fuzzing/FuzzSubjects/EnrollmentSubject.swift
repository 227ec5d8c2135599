import Crypto
import FoundationEssentials
import SnapshotProtocol
import SwiftASN1
import SwiftProtobuf
import WireProtocol
import X509

@testable import HostAgent
@testable import SnapshotManager

/// The first byte chooses what of an enrolment the others are.
enum EnrollmentSubject {
    private static let authority = try? CertificateAuthority(name: "fuzz")
    private static let key = P256.Signing.PrivateKey()
    private static let host = HostName("pc1")

    static func run(_ bytes: [UInt8]) throws {
        guard let kind = bytes.first else { return }
        let rest = Array(bytes.dropFirst())
        switch kind % 5 {
        case 0: try request(rest)
        case 1: try answer(rest)
        case 2: try certificate(rest)
        case 3: try names(String(decoding: rest, as: UTF8.self))
        default:
            // Two texts in PEM, as `init` wrote them.
            let texts = Pieces(rest).map { String(decoding: $0, as: UTF8.self) }
            guard texts.count == 2 else { return }
            _ = try? CertificateAuthority(certificate: texts[0], key: texts[1])
        }
    }

    /// What an agent sends: nothing of it but the key may come back.
    private static func request(_ bytes: [UInt8]) throws {
        guard let authority else { throw Broken(description: "There is no authority.") }
        guard let issued = try? authority.issueAgent(host, signingRequest: bytes) else { return }
        let certificate = try Certificate(derEncoded: issued.der)
        try Broken.unless(PeerIdentity(certificate) == .agent(host), "A certificate for another was issued.")
        try Broken.unless(
            authority.certificate.publicKey.isValidSignature(certificate.signature, for: certificate),
            "A certificate that nobody believes was issued.")
        try Broken.unless(
            CertificateAuthority.serial(of: certificate) == issued.serial, "Another serial number is noted.")
    }

    /// What a manager answers; also with the authority that the token names.
    private static func answer(_ bytes: [UInt8]) throws {
        guard let authority, let message = try? Holdfast_V1_EnrollResponse(serializedBytes: bytes) else { return }
        let token = EnrollmentToken(address: "m:1", host: host, secret: [1], authority: try authority.der)
        var believed = message
        believed.authority = Data(token.authority)
        for answer in [message, believed] {
            guard let identity = try? AgentIdentity(answer, to: token, key: key) else { continue }
            try Broken.unless(identity.authority == token.authority, "An agent trusts another authority.")
            _ = try Endpoint(identity.gateway).target
        }
    }

    /// What a peer shows in the handshake.
    private static func certificate(_ bytes: [UInt8]) throws {
        guard let certificate = try? Certificate(derEncoded: bytes) else { return }
        _ = CertificateAuthority.serial(of: certificate)
        guard let identity = PeerIdentity(certificate) else { return }
        try Broken.unless(PeerIdentity(uri: identity.uri) == identity, "An identity is written otherwise than read.")
    }

    private static func names(_ text: String) throws {
        if let identity = PeerIdentity(uri: text) {
            try Broken.unless(identity.uri == text, "An identity is written otherwise than read.")
        }
        if let address = NetworkAddress(text) {
            try Broken.unless(
                NetworkAddress(address.description) == address, "An address is written otherwise than read.")
            _ = address.isWildcard
        }
        if let endpoint = try? Endpoint(text) { _ = endpoint.target }
    }
}
