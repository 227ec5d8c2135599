package import GRPCCore
package import SnapshotProtocol

/// What an error of the transport's own means, for those who dial a manager.
///
/// gRPC says "unavailable" whether nobody listens or a certificate is refused; the cause tells them apart, and only in
/// the words of the TLS library.
package enum TransportFailure {
    /// `address` is the manager's, for the message.
    package static func failure(_ error: RPCError, dialling address: String) -> Failure {
        let text = String(describing: error)
        if text.contains("CERTIFICATE_VERIFY_FAILED") || text.contains("unableToValidateCertificate")
            || text.contains("IP_ADDRESS_MISMATCH") || text.contains("HOSTNAME_MISMATCH")
        {
            return Failure(
                .foreignCertificate,
                "What answers at \(address) has no certificate of the manager that these credentials are from. Check "
                    + "the address; if the manager was made anew, get new credentials from it.")
        }
        if text.contains("ALERT_UNKNOWN_CA") || text.contains("ALERT_BAD_CERTIFICATE")
            || text.contains("ALERT_CERTIFICATE") || text.contains("ALERT_DECRYPT_ERROR")
        {
            return Failure(
                .foreignCertificate,
                "The manager at \(address) refuses this certificate: it is of another authority, or has expired. Get "
                    + "new credentials from this manager.")
        }
        switch error.code {
        case .unavailable:
            return Failure(
                .unreachable,
                "The manager at \(address) is not reached: \(error.message) See whether it runs, and check the address."
            )
        case .cancelled: return Failure(.cancelled, "The call to the manager at \(address) was cancelled.")
        case .deadlineExceeded: return Failure(.deadline, "The manager at \(address) did not answer in time.")
        case .unimplemented:
            return Failure(
                .unsupported,
                "The manager at \(address) does not know this call. Run the same version of Holdfast on both sides.")
        default: return Failure(.internalError, "The manager at \(address) answered: \(error.message)")
        }
    }
}
