package import SnapshotProtocol

/// How much something stands in the way of a snapshot.
package enum FindingLevel: String, Hashable, Comparable, Sendable, Codable, CaseIterable {
    case ok
    /// A snapshot is taken all the same, and costs more or is worth less than it could.
    case warning
    /// A snapshot would be refused or given up.
    case blocker

    package static func < (lhs: FindingLevel, rhs: FindingLevel) -> Bool { lhs.rank < rhs.rank }

    private var rank: Int {
        switch self {
        case .ok: 0
        case .warning: 1
        case .blocker: 2
        }
    }
}

/// What a finding is about. A `nil` host is that of a VM which no host knows.
package enum FindingSubject: Hashable, Sendable {
    case manager
    case cluster(String)
    case desktop(HostName)
    case machine(String, on: HostName?)
    /// By hardware address.
    case nic(String, of: String, on: HostName?)
    /// By the target's name.
    case disk(String, of: String, on: HostName?)
    case channel(Channel)

    package var host: HostName? {
        switch self {
        case .manager, .cluster, .channel: nil
        case .desktop(let host): host
        case .machine(_, let host), .nic(_, _, let host), .disk(_, _, let host): host
        }
    }

    package var machine: String? {
        switch self {
        case .manager, .cluster, .desktop, .channel: nil
        case .machine(let name, _), .nic(_, let name, _), .disk(_, let name, _): name
        }
    }
}

/// What one check of one thing has found out.
package struct Finding: Hashable, Sendable {
    /// A `Check`'s name, or that of one which only a later version knows.
    package var check: String
    package var subject: FindingSubject
    package var level: FindingLevel
    /// A whole sentence.
    package var text: String
    /// What to do; empty when there is nothing.
    package var remedy: String

    package init(check: String, subject: FindingSubject, level: FindingLevel, text: String, remedy: String) {
        self.check = check
        self.subject = subject
        self.level = level
        self.text = text
        self.remedy = remedy
    }

    package init(_ check: Check, _ subject: FindingSubject, ok text: String) {
        self.init(check: check.rawValue, subject: subject, level: .ok, text: text, remedy: "")
    }

    package init(_ check: Check, _ subject: FindingSubject, _ level: FindingLevel, _ text: String, remedy: String) {
        self.init(check: check.rawValue, subject: subject, level: level, text: text, remedy: remedy)
    }

    /// A failure's message says what happened and what to do about it.
    package init(_ check: Check, _ subject: FindingSubject, blocker failure: Failure) {
        self.init(check, subject, .blocker, failure.message, remedy: "")
    }
}

/// What the manager is asked to look at.
package enum DiagnosisScope: Hashable, Sendable {
    /// All enrolled desktops.
    case desktops
    case desktop(HostName)
    case cluster(String)
}
