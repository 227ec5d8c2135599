import SnapshotProtocol
import WireProtocol

/// A diagnosis for people: problems by desktop, then by VM, then those of channels, and a summary.
enum DiagnosisRendering {
    /// What findings are shown under.
    private enum Group: Hashable, Comparable {
        case manager
        case desktop(String)
        /// VMs that no host knows.
        case nowhere
        case cluster(String)
        case channels

        init(_ subject: FindingSubject) {
            switch subject {
            case .manager: self = .manager
            case .cluster(let name): self = .cluster(name)
            case .channel: self = .channels
            case .desktop, .machine, .nic, .disk: self = subject.host.map { .desktop($0.rawValue) } ?? .nowhere
            }
        }

        var title: String {
            switch self {
            case .manager: "manager"
            case .desktop(let host): host
            case .nowhere: "on no desktop"
            case .cluster(let name): "cluster \(name)"
            case .channels: "between members"
            }
        }
    }

    static func text(_ diagnosis: Diagnosis) -> String {
        let shown = diagnosis.findings.filter { diagnosis.isVerbose || $0.level != .ok }
        let groups = Dictionary(grouping: shown) { Group($0.subject) }
        var text = ""
        for (group, findings) in groups.sorted(by: { $0.key < $1.key }) {
            text += line(group.title)
            for finding in findings where finding.subject.machine == nil { text += entry(finding, indent: 2) }
            let machines = Dictionary(grouping: findings.filter { $0.subject.machine != nil }) {
                $0.subject.machine ?? ""
            }
            for (machine, findings) in machines.sorted(by: { $0.key < $1.key }) {
                text += line("  \(machine)")
                for finding in findings { text += entry(finding, indent: 4) }
            }
        }
        return text + summary(diagnosis)
    }

    private static func entry(_ finding: Finding, indent: Int) -> String {
        let margin = String(repeating: " ", count: indent)
        let part =
            switch finding.subject {
            case .nic(let mac, _, _): "NIC \(mac): "
            case .disk(let target, _, _): "Disk \(target): "
            case .channel(let channel): "\(channel.sender) to \(channel.receiver): "
            case .manager, .cluster, .desktop, .machine: ""
            }
        let first = line("\(margin)\(name(finding.level))  \(finding.check)  \(part)\(finding.text)")
        guard !finding.remedy.isEmpty, finding.level != .ok else { return first }
        return first + line("\(margin)         \(finding.remedy)")
    }

    private static func name(_ level: FindingLevel) -> String {
        switch level {
        case .ok: "ok     "
        case .warning: "WARNING"
        case .blocker: "BLOCKER"
        }
    }

    /// One line whatever is in it: what it says comes from other machines.
    private static func line(_ text: String) -> String {
        var line = ""
        for scalar in text.unicodeScalars { line.unicodeScalars.append(scalar.properties.isBreak ? " " : scalar) }
        return line + "\n"
    }

    private static func summary(_ diagnosis: Diagnosis) -> String {
        let subjects = diagnosis.findings.map(\.subject)
        let desktops = Set(subjects.compactMap(\.host)).count
        let machines = Set(subjects.compactMap(\.machine)).count
        let channels = Set(subjects.filter { if case .channel = $0 { true } else { false } }).count
        let seen = [(desktops, "desktop"), (machines, "VM"), (channels, "channel")]
            .filter { $0.0 > 0 }.map { count($0.0, $0.1) }
        let found =
            "\(count(diagnosis.count(.blocker), "blocker")), \(count(diagnosis.count(.warning), "warning")), "
            + "\(diagnosis.count(.ok)) in order"
        return seen.isEmpty ? "\(found).\n" : "\(found); looked at \(seen.joined(separator: ", ")).\n"
    }

    private static func count(_ number: Int, _ what: String) -> String { "\(number) \(what)\(number == 1 ? "" : "s")" }
}

extension Unicode.Scalar.Properties {
    fileprivate var isBreak: Bool {
        switch generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: isWhitespace
        default: false
        }
    }
}
