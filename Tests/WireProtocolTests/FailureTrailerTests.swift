import GRPCCore
import SnapshotProtocol
import Testing
import WireProtocol

@Suite struct FailureTrailerTests {
    @Test(arguments: Samples.failures) func aFailureTravelsWhole(failure: Failure) {
        let error = FailureTrailer.error(failure)
        #expect(FailureTrailer.failures(in: error) == [failure])
        #expect(error.message == failure.description)
    }

    @Test func severalFailuresTravelInOrder() {
        #expect(FailureTrailer.failures(in: FailureTrailer.error(Samples.failures)) == Samples.failures)
    }

    @Test func anErrorOfAnotherMakeHasNone() {
        #expect(FailureTrailer.failures(in: RPCError(code: .unavailable, message: "")) == nil)
    }

    @Test func errorsOfTheTransportAreToldApart() {
        func code(_ status: RPCError.Code, _ message: String) -> FailureCode {
            TransportFailure.failure(RPCError(code: status, message: message), dialling: "pc:1").code
        }
        #expect(code(.unavailable, "Connection refused") == .unreachable)
        #expect(code(.unavailable, "CERTIFICATE_VERIFY_FAILED") == .foreignCertificate)
        #expect(code(.unavailable, "TLSV1_ALERT_UNKNOWN_CA") == .foreignCertificate)
        #expect(code(.unimplemented, "") == .unsupported)
        #expect(code(.cancelled, "") == .cancelled)
        #expect(code(.deadlineExceeded, "") == .deadline)
        #expect(code(.unknown, "") == .internalError)
    }
}
