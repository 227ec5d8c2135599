internal import SnapshotProtocol
internal import SwiftProtobuf

extension Holdfast_V1_FindingLevel {
    init(_ level: FindingLevel) {
        self =
            switch level {
            case .ok: .ok
            case .warning: .warning
            case .blocker: .blocker
            }
    }
}

extension FindingLevel {
    init(_ wire: Holdfast_V1_FindingLevel) throws(WireError) {
        switch wire {
        case .unspecified: throw .absent("level of a finding")
        case .UNRECOGNIZED(let number): throw .unknown("level of a finding", number)
        case .ok: self = .ok
        case .warning: self = .warning
        case .blocker: self = .blocker
        }
    }
}

extension Holdfast_V1_Finding {
    package init(_ finding: Finding) {
        self.init()
        check = finding.check
        subject =
            switch finding.subject {
            case .manager: .manager(Holdfast_V1_Nothing())
            case .cluster(let name): .cluster(name)
            case .desktop(let host): .host(host.rawValue)
            case .machine(let name, let host): .machine(Holdfast_V1_SubjectMachine(name, host))
            case .nic(let mac, let name, let host): .nic(Holdfast_V1_SubjectPart(mac, of: name, host))
            case .disk(let target, let name, let host): .disk(Holdfast_V1_SubjectPart(target, of: name, host))
            case .channel(let channel): .channel(Holdfast_V1_Channel(channel))
            }
        level = Holdfast_V1_FindingLevel(finding.level)
        text = finding.text
        remedy = finding.remedy
    }
}

extension Finding {
    package init(_ wire: Holdfast_V1_Finding) throws(WireError) {
        let subject: FindingSubject
        switch wire.subject {
        case nil: throw .absent("subject of a finding")
        case .manager: subject = .manager
        case .cluster(let name): subject = .cluster(name)
        case .host(let host): subject = .desktop(HostName(host))
        case .machine(let machine): subject = .machine(machine.name, on: machine.domainHost)
        case .nic(let part): subject = .nic(part.name, of: part.machine.name, on: part.machine.domainHost)
        case .disk(let part): subject = .disk(part.name, of: part.machine.name, on: part.machine.domainHost)
        case .channel(let channel): subject = .channel(Channel(channel))
        }
        self.init(
            check: wire.check, subject: subject, level: try FindingLevel(wire.level), text: wire.text,
            remedy: wire.remedy)
    }
}

extension Holdfast_V1_SubjectMachine {
    fileprivate init(_ name: String, _ host: HostName?) {
        self.init()
        self.name = name
        if let host { self.host = host.rawValue }
    }

    fileprivate var domainHost: HostName? { hasHost ? HostName(host) : nil }
}

extension Holdfast_V1_SubjectPart {
    fileprivate init(_ part: String, of name: String, _ host: HostName?) {
        self.init()
        machine = Holdfast_V1_SubjectMachine(name, host)
        self.name = part
    }
}

extension Holdfast_V1_Diagnosis {
    package init(_ findings: [Finding]) {
        self.init()
        self.findings = findings.map(Holdfast_V1_Finding.init)
    }
}

extension [Finding] {
    package init(_ wire: Holdfast_V1_Diagnosis) throws(WireError) {
        self = try wire.findings.decoded(Finding.init)
    }
}

extension Holdfast_V1_DiagnoseRequest {
    package init(_ scope: DiagnosisScope) {
        self.init()
        self.scope =
            switch scope {
            case .desktops: nil
            case .desktop(let host): .host(host.rawValue)
            case .cluster(let name): .cluster(name)
            }
    }
}

extension DiagnosisScope {
    package init(_ wire: Holdfast_V1_DiagnoseRequest) {
        self =
            switch wire.scope {
            case nil: .desktops
            case .host(let host): .desktop(HostName(host))
            case .cluster(let name): .cluster(name)
            }
    }
}

extension Holdfast_V1_ExamineAnswer {
    init(request: UInt64, _ result: Result<[Finding], Failure>) {
        self.init()
        self.request = request
        switch result {
        case .success(let found): findings = .with { $0.findings = found.map(Holdfast_V1_Finding.init) }
        case .failure(let failure): self.failure = Holdfast_V1_Failure(failure)
        }
    }

    func decoded() throws(WireError) -> Result<[Finding], Failure> {
        switch result {
        case nil: throw .absent("result in the answer about a desktop")
        case .findings(let list): .success(try list.findings.decoded(Finding.init))
        case .failure(let failure): .failure(try Failure(failure))
        }
    }
}
