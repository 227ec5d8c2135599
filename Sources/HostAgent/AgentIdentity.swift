import Crypto
import FoundationEssentials
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Glibc
package import SnapshotProtocol
import SwiftASN1
import SwiftProtobuf
import WireProtocol
import X509

/// The agent's key and certificate, and whom it trusts: made at enrolment, read at every start.
package struct AgentIdentity: Sendable {
    /// DER.
    package var privateKey: [UInt8]
    /// DER.
    package var certificate: [UInt8]
    /// DER.
    package var authority: [UInt8]
    /// HOST:PORT of the manager.
    package var gateway: String

    private static let files = ["key.der", "certificate.der", "authority.der", "gateway"]

    package static func load(from state: String) throws -> AgentIdentity {
        var contents: [[UInt8]] = []
        for file in files {
            let path = "\(state)/\(file)"
            if access(path, R_OK) != 0 && errno != ENOENT {
                throw Failure(.noRights, "\(path) cannot be read. Run the agent as root.")
            }
            guard let data = FileManager.default.contents(atPath: path) else {
                throw Failure(
                    .unauthorized,
                    "\(state)/\(file) is missing: this desktop is not enrolled. Get a token with `holdfast-manager "
                        + "token` and run `holdfast-agent enroll`.")
            }
            contents.append([UInt8](data))
        }
        return AgentIdentity(
            privateKey: contents[0], certificate: contents[1], authority: contents[2],
            gateway: String(decoding: contents[3], as: UTF8.self))
    }

    /// Key first and readable for nobody else, gateway last: it is there only when everything else is.
    package func store(in state: String) throws {
        try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
        let contents = [privateKey, certificate, authority, Array(gateway.utf8)]
        for (file, bytes) in zip(Self.files, contents) {
            let path = "\(state)/\(file)"
            let descriptor = open(path + ".new", O_WRONLY | O_CREAT | O_TRUNC, 0o600)
            guard descriptor >= 0 else { throw Self.cannotWrite(path) }
            defer { close(descriptor) }
            let written = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard written == bytes.count, fsync(descriptor) == 0, rename(path + ".new", path) == 0 else {
                throw Self.cannotWrite(path)
            }
        }
    }

    private static func cannotWrite(_ path: String) -> Failure {
        Failure(
            .noRights, "Could not write \(path): \(String(cString: strerror(errno))). Run this as the agent's user.")
    }

    /// Trades a one-time token for a certificate. The private key never leaves this machine.
    package static func enroll(with text: String, as host: HostName) async throws -> AgentIdentity {
        let token: EnrollmentToken
        do {
            token = try EnrollmentToken(parsing: text)
        } catch {
            throw Failure(.tokenRefused, "\(error)")
        }
        guard token.host == host else {
            throw Failure(
                .tokenRefused,
                "The token is for \(token.host), but this desktop is configured as \(host). Make a token for it with "
                    + "`holdfast-manager token --host \(host)`.")
        }
        let key = P256.Signing.PrivateKey()
        let request = try CertificateSigningRequest(
            version: .v1, subject: DistinguishedName { CommonName(host.rawValue) }, privateKey: .init(key),
            attributes: .init(), signatureAlgorithm: .ecdsaWithSHA256)
        var serializer = DER.Serializer()
        try serializer.serialize(request)
        let signingRequest = serializer.serializedBytes

        let transport = try HTTP2ClientTransport.Posix(
            target: Endpoint(token.address).target,
            transportSecurity: .tls {
                $0.trustRoots = .certificates([.bytes(token.authority, format: .der)])
                $0.serverCertificateVerification = .fullVerification
            })
        let answer: Holdfast_V1_EnrollResponse
        do {
            answer = try await withGRPCClient(transport: transport) { client in
                let enrollment = Holdfast_V1_Enrollment.Client(wrapping: client)
                var options = CallOptions.defaults
                options.timeout = .seconds(20)
                return try await enrollment.enroll(
                    .with {
                        $0.secret = Data(token.secret)
                        $0.host = host.rawValue
                        $0.signingRequest = Data(signingRequest)
                    }, options: options)
            }
        } catch let error as RPCError {
            throw FailureTrailer.failures(in: error)?.first
                ?? TransportFailure.failure(error, dialling: token.address)
        }
        return try AgentIdentity(answer, to: token, key: key)
    }
}

extension AgentIdentity {
    /// What a manager has answered to a token, if an agent can use it: better refused now than found at the next start.
    init(_ answer: Holdfast_V1_EnrollResponse, to token: EnrollmentToken, key: P256.Signing.PrivateKey) throws(Failure)
    {
        guard [UInt8](answer.authority) == token.authority,
            let authority = try? Certificate(derEncoded: token.authority),
            let certificate = try? Certificate(derEncoded: [UInt8](answer.certificate)),
            authority.publicKey.isValidSignature(certificate.signature, for: certificate)
        else {
            throw Failure(
                .foreignCertificate,
                "What the manager at \(token.address) answered is not of the authority in the token. Get a new token.")
        }
        guard certificate.publicKey == Certificate.PrivateKey(key).publicKey, (try? Endpoint(answer.gateway)) != nil
        else {
            throw Failure(
                .unsupported,
                "The manager at \(token.address) answered with another's certificate or without its own address. Run "
                    + "the same version of Holdfast on agent and manager.")
        }
        self.init(
            privateKey: [UInt8](key.derRepresentation), certificate: [UInt8](answer.certificate),
            authority: token.authority, gateway: answer.gateway)
    }
}
