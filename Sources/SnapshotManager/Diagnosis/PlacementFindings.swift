package import SnapshotProtocol
package import WireProtocol

/// On which desktops each member of a cluster could be restored. Pure.
package enum PlacementFindings {
    /// - Parameter offers: what every connected host offers.
    package static func all(
        members: [(planned: PlannedMember, requirements: [String: String])], offers: [HostName: [String: String]]
    ) -> [Finding] {
        members.flatMap { member in
            let name = member.planned.name.rawValue
            let subject = FindingSubject.machine(name, on: member.planned.host)
            let misfits = offers.sorted { $0.key < $1.key }.map { host, offered in
                (host, RestorePlacement.lacking(member.requirements, in: offered))
            }
            let fitting = misfits.filter { $0.1.isEmpty }.map(\.0.rawValue)
            var findings: [Finding] = []
            if !fitting.isEmpty {
                findings.append(
                    Finding(.placement, subject, ok: "It could be restored on \(fitting.joined(separator: ", "))."))
            }
            return findings
                + misfits.filter { !$0.1.isEmpty }.map { host, lacking in
                    Finding(
                        .placement, subject, .warning,
                        "It could not be restored on \(host): \(lacking.joined(separator: "; ")).",
                        remedy: host == member.planned.host
                            ? "Start the agent there anew if its hypervisor was changed."
                            : "Give \(host) what is missing, or reckon without it.")
                }
        }
    }
}
