package import GRPCCore
package import SnapshotProtocol
internal import SwiftProtobuf

/// How failures travel: as a gRPC status for whoever looks at the status only, and whole in a trailer.
package enum FailureTrailer {
    private static let key = "holdfast-failures-bin"

    /// The error that a service throws.
    package static func error(_ failures: [Failure]) -> RPCError {
        var metadata = Metadata()
        if let bytes: [UInt8] = try? Holdfast_V1_FailureList(failures).serializedBytes() {
            metadata.addBinary(bytes, forKey: key)
        }
        let message = failures.map(\.description).joined(separator: " ")
        return RPCError(code: code(failures.first?.code ?? .internalError), message: message, metadata: metadata)
    }

    package static func error(_ failure: Failure) -> RPCError { error([failure]) }

    /// The failures that a service threw; nil when the error is of the transport or of another make.
    package static func failures(in error: RPCError) -> [Failure]? {
        guard let bytes = error.metadata[binaryValues: key].first(where: { _ in true }),
            let list = try? Holdfast_V1_FailureList(serializedBytes: bytes),
            let failures = try? [Failure](list), !failures.isEmpty
        else { return nil }
        return failures
    }

    private static func code(_ code: FailureCode) -> RPCError.Code {
        switch code {
        case .internalError: .internalError
        case .usage: .invalidArgument
        case .unreachable, .hostUnavailable, .hypervisorUnavailable: .unavailable
        case .unauthorized, .noRights: .permissionDenied
        case .tokenRefused, .foreignCertificate: .unauthenticated
        case .notFound, .unknownMachine: .notFound
        case .alreadyExists: .alreadyExists
        case .noSpace: .resourceExhausted
        case .snapshotDamaged: .dataLoss
        case .unsupported, .manifestVersion: .unimplemented
        case .deadline: .deadlineExceeded
        case .cancelled: .cancelled
        case .aborted, .gateBroken, .holdExceeded, .busy: .aborted
        case .machineNotRunning, .memberInOtherCluster, .interfaceWithoutTap, .queueTaken,
            .repositoryNotWritable, .originalsRunning, .incompatibleHost, .blockersFound:
            .failedPrecondition
        }
    }
}
