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
            let hosts = offers.sorted { $0.key < $1.key }
            let fitting = hosts.filter { reasons(against: $0.value, for: member.requirements).isEmpty }.map(\.key)
            var findings: [Finding] = []
            if !fitting.isEmpty {
                let places = fitting.map(\.rawValue).joined(separator: ", ")
                // Alone among several: when that desktop is lost, the member can be restored nowhere.
                let alone = fitting.count == 1 && hosts.count > 1 ? " alone" : ""
                findings.append(Finding(.placement, subject, ok: "It could be restored on \(places)\(alone)."))
            }
            return findings
                + hosts.filter { !fitting.contains($0.key) }.map { host, offered in
                    let reasons = reasons(against: offered, for: member.requirements)
                    return Finding(
                        .placement, subject, .warning,
                        "It could not be restored on \(host): \(reasons.joined(separator: "; ")).",
                        remedy: host == member.planned.host
                            ? "Start the agent there anew if its hypervisor was changed."
                            : "Give \(host) what is missing, or reckon without it.")
                }
        }
    }

    private static func reasons(against offered: [String: String], for requirements: [String: String]) -> [String] {
        let outages = HypervisorOutage.all(in: offered).filter { $0.driver == requirements["driver"] }
        return RestorePlacement.lacking(requirements, in: offered)
            + outages.map { outage in
                let text = outage.text.hasSuffix(".") ? String(outage.text.dropLast()) : outage.text
                return "its \(outage.driver) is out of order (\(text))"
            }
    }
}
