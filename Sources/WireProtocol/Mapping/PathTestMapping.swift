internal import FoundationEssentials
internal import SnapshotProtocol
internal import SwiftProtobuf

extension Holdfast_V1_PathTestPlan {
    init(_ plan: PathTestPlan) {
        self.init()
        id = plan.id
        cluster = plan.cluster
        members = plan.members.map(Holdfast_V1_PlannedMember.init)
        markerKey = Data(plan.markerKey)
        budget = plan.budget
    }
}

extension PathTestPlan {
    init(_ wire: Holdfast_V1_PathTestPlan) {
        self.init(
            id: wire.id, cluster: wire.cluster, members: wire.members.map { PlannedMember($0) },
            markerKey: [UInt8](wire.markerKey), budget: wire.budget)
    }
}

extension Holdfast_V1_PathTestCommand {
    init(_ command: PathTestCommand) {
        self.init()
        self.command =
            switch command {
            case .arm(let plan): .arm(Holdfast_V1_PathTestPlan(plan))
            case .probe: .probe(Holdfast_V1_Nothing())
            case .end: .end(Holdfast_V1_Nothing())
            }
    }
}

extension PathTestCommand {
    init(_ wire: Holdfast_V1_PathTestCommand) throws(WireError) {
        switch wire.command {
        case nil: throw .absent("path test command")
        case .arm(let plan): self = .arm(PathTestPlan(plan))
        case .probe: self = .probe
        case .end: self = .end
        }
    }
}

extension Holdfast_V1_PathTestReport {
    init(_ report: PathTestReport) {
        self.init()
        self.report =
            switch report {
            case .armed: .armed(Holdfast_V1_Nothing())
            case .heard: .heard(Holdfast_V1_Nothing())
            case .failed(let failure): .failed(Holdfast_V1_Failure(failure))
            case .ended(let arrivals): .ended(.with { $0.arrivals = arrivals.map(Holdfast_V1_ProbeArrival.init) })
            }
    }
}

extension PathTestReport {
    init(_ wire: Holdfast_V1_PathTestReport) throws(WireError) {
        switch wire.report {
        case nil: throw .absent("path test report")
        case .armed: self = .armed
        case .heard: self = .heard
        case .failed(let failure): self = .failed(try Failure(failure))
        case .ended(let list): self = .ended(list.arrivals.map { ProbeArrival($0) })
        }
    }
}

extension Holdfast_V1_ProbeArrival {
    fileprivate init(_ arrival: ProbeArrival) {
        self.init()
        channel = Holdfast_V1_Channel(arrival.channel)
        afterOwn = arrival.afterOwn
        bleached = arrival.bleached
        local = arrival.local
    }
}

extension ProbeArrival {
    fileprivate init(_ wire: Holdfast_V1_ProbeArrival) {
        self.init(
            channel: Channel(wire.channel), afterOwn: wire.afterOwn, bleached: wire.bleached, local: wire.local)
    }
}
