import SnapshotProtocol
import WireProtocol

/// A diagnosis as JSON: always all findings, also those that are in order. See `Documents.swift` for the rules.
struct DiagnosisDocument: Encodable {
    struct Subject: Encodable {
        /// `manager`, `cluster`, `desktop`, `vm`, `nic`, `disk` or `channel`.
        let kind: String
        var cluster: String?
        var host: String?
        var vm: String?
        var nic: String?
        var disk: String?
        var sender: String?
        var receiver: String?

        init(_ subject: FindingSubject) {
            switch subject {
            case .manager: kind = "manager"
            case .cluster(let name):
                kind = "cluster"
                cluster = name
            case .desktop: kind = "desktop"
            case .machine: kind = "vm"
            case .nic(let mac, _, _):
                kind = "nic"
                nic = mac
            case .disk(let target, _, _):
                kind = "disk"
                disk = target
            case .channel(let channel):
                kind = "channel"
                sender = channel.sender.rawValue
                receiver = channel.receiver.rawValue
            }
            host = subject.host?.rawValue
            vm = subject.machine
        }
    }

    struct Item: Encodable {
        let check: String
        /// `ok`, `warning` or `blocker`.
        let level: String
        let subject: Subject
        let text: String
        let remedy: String?

        init(_ finding: Finding) {
            check = finding.check
            level = finding.level.rawValue
            subject = Subject(finding.subject)
            text = finding.text
            remedy = finding.remedy.isEmpty ? nil : finding.remedy
        }
    }

    let blockers: Int
    let warnings: Int
    let findings: [Item]

    init(_ diagnosis: Diagnosis) {
        blockers = diagnosis.count(.blocker)
        warnings = diagnosis.count(.warning)
        findings = diagnosis.findings.map(Item.init)
    }
}
