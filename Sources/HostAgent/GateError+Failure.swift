import PacketGate
import SnapshotProtocol

extension GateError {
    /// The same in the product's terms.
    func failure(of member: MemberName?) -> Failure {
        let code: FailureCode
        switch self {
        case .noRights: code = .noRights
        case .queueTaken: code = .queueTaken
        case .kernelLacks: code = .unsupported
        case .tapMissing, .bridgeMissing: code = .interfaceWithoutTap
        case .alreadyRunning: code = .busy
        case .ruleFailed, .wrongState: code = .gateBroken
        case .badPlan: code = .usage
        case .replayFailed: code = .aborted
        case .internalError: code = .internalError
        }
        return Failure(code, member: member, description)
    }
}
