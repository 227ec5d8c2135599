package import SnapshotProtocol
package import WireProtocol

/// What was found, and how it shall be shown and judged.
package struct Diagnosis: Sendable {
    package var findings: [Finding]
    /// Warnings count as blockers do.
    package var isStrict: Bool
    /// What is in order is shown too.
    package var isVerbose: Bool

    package init(findings: [Finding], isStrict: Bool = false, isVerbose: Bool = false) {
        self.findings = findings
        self.isStrict = isStrict
        self.isVerbose = isVerbose
    }

    package func count(_ level: FindingLevel) -> Int { findings.count { $0.level == level } }

    /// Nil when nothing stands in the way.
    package var exitCode: FailureCode? {
        count(.blocker) > 0 || isStrict && count(.warning) > 0 ? .blockersFound : nil
    }

    package func rendered(as format: OutputFormat) -> String { Answer.diagnosis(self).rendered(as: format) }
}
