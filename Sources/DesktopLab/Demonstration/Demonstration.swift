import Foundation

/// The whole product on one machine: a cluster of real guests is snapshotted, killed and restored, one of them onto
/// another desktop; then the same without replay; then the control, without coordination.
package struct Demonstration: Sendable {
    private let lab: Lab
    private let say: @Sendable (String) -> Void

    package init(lab: Lab, say: @escaping @Sendable (String) -> Void) {
        self.lab = lab
        self.say = say
    }

    package func run() async throws -> DemonstrationReport {
        let exercise = ClusterExercise(lab: lab)
        try await exercise.createCluster()
        say("All \(lab.machines.count) guests talk to each other. Letting them work for a few seconds.")
        try await Task.sleep(for: .seconds(3))
        let ways = try await exercise.waysToUserSpace()

        say("Taking a snapshot of the running cluster.")
        let snapshot = try await exercise.snapshot()

        let moved = lab.machines[lab.machines.count - 1]
        let elsewhere = lab.desktops[moved.desktop % lab.desktops.count].name
        say("Killing every guest. Restoring \(snapshot.id), \(moved.name) onto \(elsewhere).")
        let place = ["--place", "\(moved.name)=\(elsewhere)"]
        let restored = try await exercise.killAndRestore(snapshot.id, options: place)

        say("Killing every guest. Restoring once more, without replaying the channel logs.")
        let unreplayed = try await exercise.killAndRestore(snapshot.id, options: place + ["--no-replay"])

        say("The control: images 0.5 s apart, nothing held. Killing every guest and loading these.")
        let uncoordinated = try await UncoordinatedSnapshot.take(of: lab, interval: .milliseconds(500))
        let control = try await uncoordinated.killAndRestore()
        uncoordinated.remove()

        return DemonstrationReport(
            hypervisor: lab.configuration.hypervisor.rawValue, members: lab.machines.count,
            desktops: lab.desktops.count, sealed: snapshot.sealed,
            pauses: snapshot.members.map(\.pauseMilliseconds), holds: snapshot.members.map(\.holdMilliseconds),
            skew: snapshot.skewMilliseconds,
            segments: .init(
                held: snapshot.members.reduce(0) { $0 + $1.held },
                logged: snapshot.members.reduce(0) { $0 + $1.logged }),
            restore: .init(
                seconds: restored.answer.seconds,
                connections: .init(total: restored.judgement.total, survived: restored.judgement.survived),
                mismatches: restored.judgement.mismatches, stallMilliseconds: restored.judgement.stall,
                stallWithoutReplayMilliseconds: unreplayed.judgement.stall),
            control: .init(connections: .init(total: control.total, survived: control.survived)),
            packetsOutsideEpoch: snapshot.packetsOutsideEpoch + UInt64(ways))
    }

    /// The report as people read it.
    package static func table(_ report: DemonstrationReport) -> String {
        func list(_ values: [Double]) -> String {
            values.map { String(format: "%.1f", $0) }.joined(separator: ", ")
        }
        let rows: [(String, String)] = [
            ("guests on desktops", "\(report.members) on \(report.desktops)"),
            ("hypervisor", report.hypervisor + remark(on: report.hypervisor)),
            ("snapshot", report.sealed ? "sealed" : "NOT sealed"),
            ("pause of each guest", "\(list(report.pauses)) ms"),
            ("arm to release", "\(list(report.holds)) ms"),
            ("skew between cuts", String(format: "%.1f ms", report.skew)),
            ("segments held, logged", "\(report.segments.held), \(report.segments.logged)"),
            ("packets in user space outside the epoch", "\(report.packetsOutsideEpoch)"),
            ("restore", String(format: "%.1f s", report.restore.seconds)),
            (
                "connections that went on",
                "\(report.restore.connections.survived) of \(report.restore.connections.total)"
            ),
            ("bytes, counters or disk records wrong", "\(report.restore.mismatches)"),
            ("first byte heard after the start", "\(report.restore.stallMilliseconds) ms"),
            ("the same without replay", "\(report.restore.stallWithoutReplayMilliseconds) ms"),
            (
                "control, nothing held: connections that went on",
                "\(report.control.connections.survived) of \(report.control.connections.total)"
            ),
        ]
        let width = rows.map(\.0.count).max() ?? 0
        return rows.map { "  " + $0.0.padding(toLength: width, withPad: " ", startingAt: 0) + "  " + $0.1 }
            .joined(separator: "\n")
    }

    private static func remark(on hypervisor: String) -> String {
        LabHypervisor(rawValue: hypervisor)?.uses(.virtualbox) == true
            ? " (VirtualBox by a stand-in with QEMU's guests)" : ""
    }

    /// What is wanting, one sentence each; empty when everything held.
    package static func shortcomings(of report: DemonstrationReport) -> [String] {
        var found: [String] = []
        if !report.sealed { found.append("The snapshot was not sealed.") }
        let connections = report.restore.connections
        if connections.survived < connections.total {
            found.append("\(connections.total - connections.survived) connections did not survive the restore.")
        }
        if connections.total == 0 { found.append("There was no connection to judge.") }
        if report.restore.mismatches > 0 {
            found.append("The witnesses found \(report.restore.mismatches) mismatches.")
        }
        if report.control.connections.survived == report.control.connections.total {
            found.append("The control survived: the load does not show an inconsistent cut.")
        }
        if report.packetsOutsideEpoch > 0 { found.append("Packets went to user space outside the epoch.") }
        return found
    }
}
