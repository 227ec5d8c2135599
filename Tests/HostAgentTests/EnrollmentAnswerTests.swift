import Crypto
import Foundation
import SnapshotProtocol
import SwiftASN1
import SwiftProtobuf
import Testing
import WireProtocol
import X509

@testable import HostAgent

@Suite("What a manager answers to a token")
struct EnrollmentAnswerTests {
    private let authority = P256.Signing.PrivateKey()
    private let key = P256.Signing.PrivateKey()

    private func certificate(
        of subject: P256.Signing.PrivateKey, signedBy issuer: P256.Signing.PrivateKey
    ) throws -> [UInt8] {
        let certificate = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(),
            publicKey: Certificate.PrivateKey(subject).publicKey, notValidBefore: Date(),
            notValidAfter: Date() + 3_600, issuer: DistinguishedName { CommonName("authority") },
            subject: DistinguishedName { CommonName("desktop-1") }, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: Certificate.Extensions(), issuerPrivateKey: Certificate.PrivateKey(issuer))
        var serializer = DER.Serializer()
        try serializer.serialize(certificate)
        return serializer.serializedBytes
    }

    private func identity(
        _ change: (inout Holdfast_V1_EnrollResponse) throws -> Void
    ) throws -> Result<AgentIdentity, Failure> {
        let root = try certificate(of: authority, signedBy: authority)
        let token = EnrollmentToken(address: "m:1", host: HostName("desktop-1"), secret: [1], authority: root)
        var answer = Holdfast_V1_EnrollResponse()
        answer.certificate = Data(try certificate(of: key, signedBy: authority))
        answer.authority = Data(root)
        answer.gateway = "[::1]:7443"
        try change(&answer)
        return Result { () throws(Failure) in try AgentIdentity(answer, to: token, key: key) }
    }

    private func code(_ change: (inout Holdfast_V1_EnrollResponse) throws -> Void) throws -> FailureCode? {
        guard case .failure(let failure) = try identity(change) else { return nil }
        return failure.code
    }

    @Test("A sound one becomes the agent's identity")
    func sound() throws {
        let identity = try identity { _ in }.get()
        #expect(identity.gateway == "[::1]:7443")
        #expect(identity.privateKey == [UInt8](key.derRepresentation))
    }

    @Test("An empty one is refused")
    func empty() throws {
        #expect(try code { $0 = Holdfast_V1_EnrollResponse() } == .foreignCertificate)
    }

    @Test("Another authority than the token's is not trusted")
    func otherAuthority() throws {
        let other = P256.Signing.PrivateKey()
        #expect(
            try code { $0.authority = Data(try certificate(of: other, signedBy: other)) } == .foreignCertificate)
        #expect(
            try code { $0.certificate = Data(try certificate(of: key, signedBy: other)) } == .foreignCertificate)
    }

    @Test("A certificate for another's key is refused")
    func otherKey() throws {
        let other = P256.Signing.PrivateKey()
        #expect(try code { $0.certificate = Data(try certificate(of: other, signedBy: authority)) } == .unsupported)
    }

    @Test("A manager must say where it listens", arguments: ["", "m", "m:0", "[=4]14:::73", "[::1]"])
    func noGateway(text: String) throws {
        #expect(try code { $0.gateway = text } == .unsupported)
    }
}
