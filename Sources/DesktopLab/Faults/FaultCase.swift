/// One fault at one phase of one job.
package struct FaultCase: Hashable, Sendable, Codable, CustomStringConvertible {
    package enum Job: String, Sendable, Codable {
        case snapshot
        case restore

        /// As the manager names them when it enters them. Left out are `settling`, which is entered only when markers are
        /// missing, and the ways out, `aborting` and `discarding`, which the faults themselves lead to.
        package var phases: [String] {
            switch self {
            case .snapshot:
                ["preparing", "arming", "flushing", "cutting", "releasing", "saving", "sealing", "finishing"]
            case .restore: ["fencing", "loading", "replaying", "opening", "starting", "finishing"]
            }
        }
    }

    package var fault: Fault
    package var job: Job
    package var phase: String

    package init(_ fault: Fault, _ job: Job, _ phase: String) {
        self.fault = fault
        self.job = job
        self.phase = phase
    }

    /// Such as `agent-killed@arming` and `agent-killed@restore-loading`.
    package var description: String { "\(fault.rawValue)@\(column)" }
    /// Heading of its column in the table.
    package var column: String { FaultCase.column(job, phase) }

    package static func column(_ job: Job, _ phase: String) -> String { job == .snapshot ? phase : "restore-\(phase)" }

    package static let columns: [(job: Job, phase: String)] = [Job.snapshot, .restore].flatMap { job in
        job.phases.map { (job, $0) }
    }

    /// The whole table, fault by fault.
    package static let all: [FaultCase] = Fault.allCases.flatMap { fault in
        columns.map { FaultCase(fault, $0.job, $0.phase) }
    }

    /// A third of the table: of each fault every third phase, of each phase every third fault.
    package static func third(_ third: Int) -> [FaultCase] {
        Fault.allCases.enumerated().flatMap { row, fault in
            columns.enumerated().filter { (row + $0.offset) % 3 == third }
                .map { FaultCase(fault, $0.element.job, $0.element.phase) }
        }
    }

    /// Whether `text` names this case: a fault, a phase after `@`, or both.
    package func matches(_ text: String) -> Bool {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        guard !text.isEmpty, parts.count <= 2, let first = parts.first else { return false }
        return (first.isEmpty || first == fault.rawValue) && (parts.count < 2 || parts[1] == column)
    }
}
