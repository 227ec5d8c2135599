import GRPCCore
import GRPCNIOTransportHTTP2Posix
import SnapshotProtocol
import WireProtocol
import X509

/// Who is at the other end of a call, by the certificate that the handshake proved. Nothing that a message says counts.
enum PeerAuthorization {
    /// The host of an agent, and the serial number of its certificate.
    static func agent(_ context: ServerContext) throws -> (host: HostName, serial: String) {
        let certificate = try certificate(context)
        guard case .agent(let host) = PeerIdentity(certificate) else {
            throw FailureTrailer.error(
                Failure(.unauthorized, "This certificate is not that of a host agent. Enrol the host."))
        }
        return (host, CertificateAuthority.serial(of: certificate))
    }

    static func administrator(_ context: ServerContext) throws {
        guard case .administrator = PeerIdentity(try certificate(context)) else {
            throw FailureTrailer.error(
                Failure(
                    .unauthorized,
                    "This certificate is not an administrator's. Use those in the admin folder of the manager's state.")
            )
        }
    }

    private static func certificate(_ context: ServerContext) throws -> Certificate {
        guard let transport = context.transportSpecific as? HTTP2ServerTransport.Posix.Context,
            let certificate = transport.peerCertificate
        else {
            throw FailureTrailer.error(Failure(.unauthorized, "The call came without a certificate."))
        }
        return certificate
    }
}
