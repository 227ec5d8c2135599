import GRPCCore
import SnapshotProtocol
import WireProtocol

/// Why a call to the manager failed, in the product's own terms.
enum SessionFailure {
    static func failure(of error: RPCError, at address: String) -> Failure {
        if let failure = FailureTrailer.failures(in: error)?.first { return failure }
        let text = "\(error.message) \(error.cause.map { "\($0)" } ?? "")"
        let certificate = ["CERTIFICATE_VERIFY_FAILED", "certificate", "CERTIFICATE", "unable to verify"]
        if certificate.contains(where: { text.contains($0) }) {
            return Failure(
                .foreignCertificate,
                "The manager at \(address) and this desktop do not trust the same authority. Enrol the desktop again "
                    + "with a token of that manager.")
        }
        return Failure(
            .unreachable,
            "The manager at \(address) does not answer (\(error.message)). Look whether it runs and whether a "
                + "firewall stands between.")
    }
}
