/// What became of one case.
package struct FaultResult: Codable, Sendable {
    package var fault: Fault
    package var job: FaultCase.Job
    /// The phase at whose entry the fault was to be done.
    package var aimed: String
    /// The phase in which the manager was when the fault had been done.
    package var landed: String
    package var held = false
    /// What did not hold; empty when all did.
    package var shortcomings: [String] = []
    /// How the job that was hit ended: `sealed`, `restored`, or the exit code and what was said.
    package var outcome = ""
    /// From the fault, or from its healing, until every guest whose QEMU lives ran and nothing was held, fenced or
    /// paused.
    package var recovery: Double = 0
    /// What was last to be put right before that.
    package var complaints: [String] = []
    /// From the same moment until every connection between living guests had moved on; nil when none was left to see.
    package var connections: Double?
    /// The longest silence that an application in a guest noticed on a connection during the case, guest time.
    package var silence: UInt64 = 0
    /// The time that the next snapshot took.
    package var nextSnapshot: Double?
    /// Whole length of the case in seconds.
    package var seconds: Double = 0

    enum CodingKeys: String, CodingKey {
        case fault, job, aimed, landed, held, shortcomings, outcome, complaints, seconds
        case recovery = "recovery_ms"
        case connections = "connections_ms"
        case silence = "silence_ms"
        case nextSnapshot = "next_snapshot_ms"
    }

    package init(_ subject: FaultCase) {
        fault = subject.fault
        job = subject.job
        aimed = subject.phase
        landed = ""
    }

    package var subject: FaultCase { FaultCase(fault, job, aimed) }
}

/// What `make faults` writes for programs.
package struct FaultReport: Codable, Sendable {
    /// Which third of the table; nil for the whole or for a choice.
    package var third: Int?
    package var cases: Int
    package var held: Int
    /// The longest recovery of a case that held.
    package var worstRecovery: Double
    /// How often the fault came in the phase that was aimed at.
    package var landed: Int
    package var results: [FaultResult]

    enum CodingKeys: String, CodingKey {
        case third, cases, held, landed, results
        case worstRecovery = "worst_recovery_ms"
    }

    package init(third: Int?, results: [FaultResult]) {
        self.third = third
        self.results = results
        cases = results.count
        held = results.count(where: \.held)
        landed = results.count { $0.landed == $0.aimed }
        worstRecovery = results.map(\.recovery).max() ?? 0
    }

    /// Fault by phase, as people read it: the recovery in seconds where the case held, `NO` where it did not.
    package var table: String {
        let columns = FaultCase.columns.filter { column in
            results.contains { $0.job == column.job && $0.aimed == column.phase }
        }
        var rows: [[String]] = [[""] + columns.map { $0.phase }]
        for fault in Fault.allCases where results.contains(where: { $0.fault == fault }) {
            rows.append(
                [fault.rawValue]
                    + columns.map { column in
                        let found = results.first {
                            $0.fault == fault && $0.job == column.job && $0.aimed == column.phase
                        }
                        guard let found else { return "" }
                        guard found.held else { return "NO" }
                        return FaultReport.seconds(found.recovery) + (found.landed == found.aimed ? "" : "*")
                    })
        }
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        let lines = rows.map { row in
            zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }.joined(separator: "  ")
        }
        let count = columns.count { $0.job == .snapshot }
        var text = "  Recovery in seconds; * the manager was in another phase by then; NO: did not hold.\n"
        text += "  The first \(count) phases are those of a snapshot, the others those of a restore.\n"
        text += lines.map { "  \($0)" }.joined(separator: "\n")
        text += "\n  \(held) of \(cases) held, worst recovery \(FaultReport.seconds(worstRecovery)) s"
        for result in results where !result.held {
            text += "\n  \(result.subject): \(result.shortcomings.joined(separator: " "))"
        }
        return text
    }

    private static func seconds(_ milliseconds: Double) -> String {
        let tenths = Int((milliseconds / 100).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}
