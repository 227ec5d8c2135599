package import SnapshotProtocol

extension Holdfast_V1_FailureCode {
    package init(_ code: FailureCode) {
        self =
            switch code {
            case .internalError: .internalError
            case .usage: .usage
            case .unreachable: .unreachable
            case .unauthorized: .unauthorized
            case .notFound: .notFound
            case .alreadyExists: .alreadyExists
            case .unknownMachine: .unknownMachine
            case .machineNotRunning: .machineNotRunning
            case .memberInOtherCluster: .memberInOtherCluster
            case .interfaceWithoutTap: .interfaceWithoutTap
            case .noRights: .noRights
            case .hypervisorUnavailable: .hypervisorUnavailable
            case .queueTaken: .queueTaken
            case .noSpace: .noSpace
            case .repositoryNotWritable: .repositoryNotWritable
            case .snapshotDamaged: .snapshotDamaged
            case .manifestVersion: .manifestVersion
            case .originalsRunning: .originalsRunning
            case .tokenRefused: .tokenRefused
            case .foreignCertificate: .foreignCertificate
            case .hostUnavailable: .hostUnavailable
            case .busy: .busy
            case .aborted: .aborted
            case .gateBroken: .gateBroken
            case .deadline: .deadline
            case .unsupported: .unsupported
            case .incompatibleHost: .incompatibleHost
            case .cancelled: .cancelled
            case .holdExceeded: .holdExceeded
            case .blockersFound: .blockersFound
            }
    }
}

extension FailureCode {
    package init(_ wire: Holdfast_V1_FailureCode) throws(WireError) {
        switch wire {
        case .unspecified: throw .absent("failure code")
        case .UNRECOGNIZED(let number): throw .unknown("failure code", number)
        case .internalError: self = .internalError
        case .usage: self = .usage
        case .unreachable: self = .unreachable
        case .unauthorized: self = .unauthorized
        case .notFound: self = .notFound
        case .alreadyExists: self = .alreadyExists
        case .unknownMachine: self = .unknownMachine
        case .machineNotRunning: self = .machineNotRunning
        case .memberInOtherCluster: self = .memberInOtherCluster
        case .interfaceWithoutTap: self = .interfaceWithoutTap
        case .noRights: self = .noRights
        case .hypervisorUnavailable: self = .hypervisorUnavailable
        case .queueTaken: self = .queueTaken
        case .noSpace: self = .noSpace
        case .repositoryNotWritable: self = .repositoryNotWritable
        case .snapshotDamaged: self = .snapshotDamaged
        case .manifestVersion: self = .manifestVersion
        case .originalsRunning: self = .originalsRunning
        case .tokenRefused: self = .tokenRefused
        case .foreignCertificate: self = .foreignCertificate
        case .hostUnavailable: self = .hostUnavailable
        case .busy: self = .busy
        case .aborted: self = .aborted
        case .gateBroken: self = .gateBroken
        case .deadline: self = .deadline
        case .unsupported: self = .unsupported
        case .incompatibleHost: self = .incompatibleHost
        case .cancelled: self = .cancelled
        case .holdExceeded: self = .holdExceeded
        case .blockersFound: self = .blockersFound
        }
    }
}

extension Holdfast_V1_Failure {
    package init(_ failure: Failure) {
        self.init()
        code = Holdfast_V1_FailureCode(failure.code)
        if let member = failure.member { self.member = member.rawValue }
        message = failure.message
    }
}

extension Failure {
    package init(_ wire: Holdfast_V1_Failure) throws(WireError) {
        self.init(
            try FailureCode(wire.code), member: wire.hasMember ? MemberName(wire.member) : nil, wire.message)
    }
}

extension Holdfast_V1_FailureList {
    package init(_ failures: [Failure]) {
        self.init()
        self.failures = failures.map(Holdfast_V1_Failure.init)
    }
}

extension [Failure] {
    package init(_ wire: Holdfast_V1_FailureList) throws(WireError) {
        self = try wire.failures.decoded(Failure.init)
    }
}

extension Array {
    /// `map` that keeps the closed error.
    func decoded<Domain>(_ decode: (Element) throws(WireError) -> Domain) throws(WireError) -> [Domain] {
        var result: [Domain] = []
        result.reserveCapacity(count)
        for element in self { result.append(try decode(element)) }
        return result
    }
}
