package import SnapshotProtocol
package import WireProtocol

/// What the manager itself finds out about a desktop. Pure.
package enum DesktopFindings {
    package static func clock(_ estimate: ClockEstimate?, of host: HostName) -> Finding {
        let subject = FindingSubject.desktop(host)
        guard let estimate else {
            return Finding(
                .clock, subject, .warning, "Its clock could not be compared with the manager's.",
                remedy: "Run the same version of Holdfast there and on the manager.")
        }
        let text =
            "Its clock is \(milliseconds(estimate.offset.magnitude)) ms \(estimate.offset < 0 ? "behind" : "ahead of") "
            + "the manager's, give or take \(milliseconds(estimate.uncertainty)) ms."
        guard estimate.isWrong else { return Finding(.clock, subject, ok: text) }
        return Finding(
            .clock, subject, .warning,
            text + " Times of snapshots, and certificates, go by it.",
            remedy: "Let systemd-timesyncd or chrony set it.")
    }

    package static func version(_ version: String, of host: HostName) -> Finding {
        let subject = FindingSubject.desktop(host)
        guard version == HoldfastVersion.current else {
            return Finding(
                .version, subject, .warning,
                "Its agent is of version \(version), the manager of version \(HoldfastVersion.current).",
                remedy: "Install the same version of Holdfast on both.")
        }
        return Finding(.version, subject, ok: "Agent and manager are of version \(version).")
    }

    /// - Parameter isNeeded: whether what was asked for depends on this desktop.
    package static func disconnected(_ host: HostName, isNeeded: Bool) -> Finding {
        Finding(
            .agent, .desktop(host), isNeeded ? .blocker : .warning, "Its agent is not connected.",
            remedy: "Start the desktop and its agent; `holdfast-agent doctor` there says what keeps it.")
    }

    /// To a tenth.
    static func milliseconds(_ nanoseconds: UInt64) -> String {
        let tenths = nanoseconds / 100_000
        return "\(tenths / 10).\(tenths % 10)"
    }
}
