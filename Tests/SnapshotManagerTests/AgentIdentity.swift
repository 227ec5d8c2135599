import Crypto
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import SnapshotProtocol
import SwiftASN1
import SwiftProtobuf
import WireProtocol
import X509

/// What an enrolled agent has: a key of its own making and the certificate for it.
struct AgentIdentity: Sendable {
    let certificate: [UInt8]
    let key: String
    let authority: [UInt8]
    let gateway: String

    /// Enrols as a real agent does, on the given port in place of the token's: the fixture learns its port late.
    static func enroll(_ token: EnrollmentToken, port: Int) async throws -> AgentIdentity {
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let request = try CertificateSigningRequest(
            version: .v1, subject: DistinguishedName { CommonName(token.host.rawValue) }, privateKey: key,
            attributes: .init(), signatureAlgorithm: .ecdsaWithSHA256)
        var serializer = DER.Serializer()
        try serializer.serialize(request)
        let answer = try await send(token, signingRequest: serializer.serializedBytes, port: port)
        return AgentIdentity(
            certificate: [UInt8](answer.certificate), key: try key.serializeAsPEM().pemString,
            authority: [UInt8](answer.authority), gateway: answer.gateway)
    }

    static func send(
        _ token: EnrollmentToken, signingRequest: [UInt8], port: Int
    ) async throws -> Holdfast_V1_EnrollResponse {
        let transport = try HTTP2ClientTransport.Posix(
            target: .ipv4(address: "127.0.0.1", port: port),
            transportSecurity: .tls { tls in
                tls.trustRoots = .certificates([.bytes(token.authority, format: .der)])
            })
        return try await withGRPCClient(transport: transport) { client in
            try await Holdfast_V1_Enrollment.Client(wrapping: client).enroll(
                .with {
                    $0.secret = Data(token.secret)
                    $0.host = token.host.rawValue
                    $0.signingRequest = Data(signingRequest)
                })
        }
    }
}
