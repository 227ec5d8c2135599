internal import SnapshotProtocol
internal import SwiftProtobuf

extension Holdfast_V1_AgentHello {
    package init(_ hello: AgentHello) {
        self.init()
        host = hello.host.rawValue
        version = hello.version
        hypervisors = hello.hypervisors
        offers = hello.offers
    }
}

extension AgentHello {
    package init(_ wire: Holdfast_V1_AgentHello) {
        self.init(
            host: HostName(wire.host), version: wire.version, hypervisors: wire.hypervisors, offers: wire.offers)
    }
}

extension Holdfast_V1_MachineSummary {
    package init(_ machine: MachineSummary) {
        self.init()
        uuid = machine.uuid
        name = machine.name
        state = machine.state
        memory = machine.memory
        nics = machine.nics.map(Holdfast_V1_MemberNic.init)
        diskBytes = machine.diskBytes
        hypervisor = machine.hypervisor
        requirements = machine.requirements
        blockers = machine.blockers.map(Holdfast_V1_Failure.init)
    }
}

extension MachineSummary {
    package init(_ wire: Holdfast_V1_MachineSummary) throws(WireError) {
        self.init(
            uuid: wire.uuid, name: wire.name, state: wire.state, memory: wire.memory,
            nics: wire.nics.map { MemberNIC($0) }, diskBytes: wire.diskBytes, hypervisor: wire.hypervisor,
            requirements: wire.requirements, blockers: try wire.blockers.decoded(Failure.init))
    }
}

extension Holdfast_V1_AgentMessage {
    package init(_ message: AgentMessage) {
        self.init()
        switch message {
        case .hello(let hello): self.hello = Holdfast_V1_AgentHello(hello)
        case .machines(let request, let result):
            machines = .with {
                $0.request = request
                switch result {
                case .success(let list):
                    $0.machines = .with { $0.machines = list.map(Holdfast_V1_MachineSummary.init) }
                case .failure(let failure): $0.failure = Holdfast_V1_Failure(failure)
                }
            }
        case .snapshot(let cluster, let epoch, let report):
            snapshot = .with {
                $0.cluster = cluster
                $0.epoch = epoch.rawValue
                $0.report = Holdfast_V1_SnapshotReport(report)
            }
        case .restore(let id, let report):
            restore = .with {
                $0.id = id
                $0.report = Holdfast_V1_RestoreReport(report)
            }
        case .progress(let cluster, let epoch, let member, let stored, let total):
            progress = .with {
                $0.cluster = cluster
                $0.epoch = epoch.rawValue
                $0.member = member.rawValue
                $0.stored = stored
                $0.total = total
            }
        case .examination(let request, let result):
            examination = Holdfast_V1_ExamineAnswer(request: request, result)
        case .time(let request, let time):
            self.time = .with {
                $0.request = request
                $0.time = time
            }
        case .pathTest(let id, let report):
            pathTest = .with {
                $0.id = id
                $0.report = Holdfast_V1_PathTestReport(report)
            }
        }
    }
}

extension AgentMessage {
    package init(_ wire: Holdfast_V1_AgentMessage) throws(WireError) {
        switch wire.message {
        case nil: throw .absent("agent's message")
        case .hello(let hello): self = .hello(AgentHello(hello))
        case .machines(let answer):
            switch answer.result {
            case nil: throw .absent("result in the answer about machines")
            case .machines(let list):
                let machines = try list.machines.decoded(MachineSummary.init)
                self = .machines(request: answer.request, .success(machines))
            case .failure(let failure):
                self = .machines(request: answer.request, .failure(try Failure(failure)))
            }
        case .snapshot(let report):
            self = .snapshot(
                cluster: report.cluster, epoch: Epoch(report.epoch), try SnapshotReport(report.report))
        case .restore(let progress): self = .restore(id: progress.id, try RestoreReport(progress.report))
        case .progress(let progress):
            self = .progress(
                cluster: progress.cluster, epoch: Epoch(progress.epoch), member: MemberName(progress.member),
                stored: progress.stored, total: progress.total)
        case .examination(let answer): self = .examination(request: answer.request, try answer.decoded())
        case .time(let answer): self = .time(request: answer.request, answer.time)
        case .pathTest(let progress): self = .pathTest(id: progress.id, try PathTestReport(progress.report))
        }
    }
}

extension Holdfast_V1_ManagerMessage {
    package init(_ message: ManagerMessage) {
        self.init()
        switch message {
        case .listMachines(let request): listMachines = .with { $0.request = request }
        case .snapshot(let cluster, let epoch, let command):
            snapshot = .with {
                $0.cluster = cluster
                $0.epoch = epoch.rawValue
                $0.command = Holdfast_V1_SnapshotCommand(command)
            }
        case .restore(let id, let command):
            restore = .with {
                $0.id = id
                $0.command = Holdfast_V1_RestoreCommand(command)
            }
        case .examine(let request, let machines):
            examine = .with {
                $0.request = request
                $0.machines = machines
            }
        case .tellTime(let request): tellTime = .with { $0.request = request }
        case .pathTest(let id, let command):
            pathTest = .with {
                $0.id = id
                $0.command = Holdfast_V1_PathTestCommand(command)
            }
        }
    }
}

extension ManagerMessage {
    package init(_ wire: Holdfast_V1_ManagerMessage) throws(WireError) {
        switch wire.message {
        case nil: throw .absent("manager's message")
        case .listMachines(let request): self = .listMachines(request: request.request)
        case .snapshot(let order):
            self = .snapshot(
                cluster: order.cluster, epoch: Epoch(order.epoch), try SnapshotCommand(order.command))
        case .restore(let order): self = .restore(id: order.id, try RestoreCommand(order.command))
        case .examine(let order): self = .examine(request: order.request, machines: order.machines)
        case .tellTime(let order): self = .tellTime(request: order.request)
        case .pathTest(let order): self = .pathTest(id: order.id, try PathTestCommand(order.command))
        }
    }
}
