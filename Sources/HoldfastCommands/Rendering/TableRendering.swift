import SnapshotProtocol
import WireProtocol

/// Answers for people.
enum TableRendering {
    static func agents(_ agents: [AgentStatus]) -> String {
        guard !agents.isEmpty else { return "No host is enrolled yet. `holdfast-manager token` begins it.\n" }
        var table = Table("HOST", "CONNECTED", "VERSION", "HYPERVISORS", "LAST SEEN")
        for agent in agents {
            table.add(
                agent.host.rawValue, agent.connected ? "yes" : "no", agent.version,
                agent.hypervisors.joined(separator: ","), agent.lastSeen.map(Timestamp.text) ?? "never")
        }
        return table.text
    }

    static func machines(_ inventory: MachineInventory) -> String {
        guard !inventory.machines.isEmpty else { return "No connected host has a VM.\n" }
        var table = Table("VM", "HOST", "STATE", "MEMORY", "CLUSTER", "BLOCKERS")
        for hosted in inventory.machines {
            table.add(
                hosted.machine.name, hosted.host.rawValue, hosted.machine.state, Table.size(hosted.machine.memory),
                hosted.cluster ?? "-",
                hosted.machine.blockers.isEmpty
                    ? "none" : hosted.machine.blockers.map(\.message).joined(separator: " "))
        }
        return table.text
    }

    static func clusters(_ clusters: [ClusterSummary]) -> String {
        guard !clusters.isEmpty else { return "There is no cluster yet. `holdfast cluster create` makes one.\n" }
        var table = Table("CLUSTER", "MEMBERS")
        for cluster in clusters {
            table.add(cluster.name, cluster.members.map(\.name.rawValue).joined(separator: ", "))
        }
        return table.text
    }

    static func cluster(_ cluster: ClusterSummary) -> String {
        var table = Table("CLUSTER", "MEMBER", "LAST HOST")
        for member in cluster.members {
            table.add(cluster.name, member.name.rawValue, member.lastHost?.rawValue ?? "-")
        }
        return table.text
    }

    static func snapshots(_ snapshots: [SnapshotSummary]) -> String {
        guard !snapshots.isEmpty else { return "There is no snapshot yet. `holdfast snapshot create` takes one.\n" }
        var table = Table("SNAPSHOT", "CLUSTER", "TAKEN", "MEMBERS", "SIZE", "SKEW MS", "CONSISTENT")
        for snapshot in snapshots {
            guard !snapshot.members.isEmpty else {
                table.add(snapshot.id, "-", "-", "-", "-", "-", snapshot.verdict.reasons.joined(separator: " "))
                continue
            }
            table.add(
                snapshot.id, snapshot.cluster, Timestamp.text(snapshot.createdAt), "\(snapshot.members.count)",
                Table.size(snapshot.size), Table.milliseconds(snapshot.skew),
                snapshot.verdict.consistent ? "yes" : "no")
        }
        return table.text
    }

    static func snapshot(_ snapshot: SnapshotSummary) -> String {
        var table = Table("MEMBER", "HOST", "PAUSE MS", "HOLD MS", "HELD", "LOGGED", "SIZE", "METHOD")
        for evidence in snapshot.members {
            table.add(
                evidence.member.name.rawValue, evidence.member.host.rawValue, Table.milliseconds(evidence.cut.pause),
                Table.milliseconds(evidence.gate.holdTime), "\(evidence.gate.held)", "\(evidence.gate.logged)",
                Table.size(evidence.stored.size), evidence.cut.method)
        }
        return """
            \(snapshot.id): cluster \(snapshot.cluster), epoch \(snapshot.epoch), taken \
            \(Timestamp.text(snapshot.createdAt))
            \(verdict(snapshot.verdict)); \(Table.milliseconds(snapshot.skew)) ms between the first cut and the last

            """ + table.text + snapshot.verdict.reasons.map { "\($0)\n" }.joined()
    }

    static func verification(_ verification: SnapshotVerification) -> String {
        let problems = verification.problems
        let first =
            problems.isEmpty
            ? "\(verification.snapshot.id) is whole: every part is there and as it was stored."
            : "\(verification.snapshot.id) is damaged:"
        let reasons = problems + verification.snapshot.verdict.reasons
        return ([first] + reasons.map { "  \($0)" } + [verdict(verification.snapshot.verdict)])
            .joined(separator: "\n") + "\n"
    }

    static func restored(_ summary: RestoreSummary) -> String {
        var table = Table("MEMBER", "HOST")
        for (member, host) in summary.members.sorted(by: { $0.key < $1.key }) {
            table.add(member.rawValue, host.rawValue)
        }
        let seconds = Table.rounded(Double(summary.duration) / 1e9, 2)
        return "\(summary.snapshot) runs again after \(seconds) s; \(summary.replayed) segments were replayed\n"
            + table.text
    }

    private static func verdict(_ verdict: Verdict) -> String {
        switch (verdict.consistent, verdict.logComplete) {
        case (true, true): "consistent, logs complete"
        case (true, false): "consistent, logs may lack segments"
        case (false, _): "not consistent"
        }
    }
}
