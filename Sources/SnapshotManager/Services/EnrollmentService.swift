import Foundation
import GRPCCore
import Logging
import SnapshotProtocol
import SwiftProtobuf
import WireProtocol

/// Gives certificates to hosts that bring a token.
struct EnrollmentService: Holdfast_V1_Enrollment.SimpleServiceProtocol {
    let catalog: Catalog
    let authority: CertificateAuthority
    /// HOST:PORT that agents are told to dial.
    let gateway: String
    let logger: Logger

    func enroll(
        request: Holdfast_V1_EnrollRequest, context: ServerContext
    ) async throws -> Holdfast_V1_EnrollResponse {
        let host = HostName(request.host)
        do throws(ManagerError) {
            guard EntityName(request.host) != nil else {
                throw ManagerError(.tokenRefused, "\(request.host) is no name of a host.")
            }
            let signingRequest = [UInt8](request.signingRequest)
            let issued = try await catalog.enroll(
                secret: [UInt8](request.secret), host: host, now: WallClock.now
            ) { [authority] () throws(ManagerError) in try authority.issueAgent(host, signingRequest: signingRequest) }
            let root = try authority.der
            logger.info("Host enrolled", metadata: ["host": "\(host)", "serial": "\(issued.serial)"])
            return .with {
                $0.certificate = Data(issued.der)
                $0.authority = Data(root)
                $0.gateway = gateway
            }
        } catch {
            logger.warning(
                "Enrolment refused", metadata: ["host": "\(host)", "peer": "\(context.remotePeer)", "why": "\(error)"])
            throw FailureTrailer.error(error.failures)
        }
    }
}
