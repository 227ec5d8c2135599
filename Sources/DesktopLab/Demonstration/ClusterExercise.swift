import Foundation

/// The steps that the demonstration, the integration tests and the benchmarks are made of: the product as a user has
/// it, through its command line, on the guests of a lab.
package struct ClusterExercise: Sendable {
    package let lab: Lab
    package let cluster: String

    package init(lab: Lab, cluster: String = "demo") {
        self.lab = lab
        self.cluster = cluster
    }

    /// Runs `holdfast` and decodes what it prints; anything but success is an error that carries what it said.
    package func holdfast<Answer: Decodable>(_ arguments: [String], as type: Answer.Type) async throws -> Answer {
        let result = try await lab.holdfast(arguments + ["--output", "json"])
        guard result.succeeded else {
            throw LabError.commandFailed(
                (["holdfast"] + arguments).joined(separator: " "), status: "\(result.status)",
                detail: result.standardError)
        }
        return try JSONDecoder().decode(Answer.self, from: Data(result.standardOutput.utf8))
    }

    package func createCluster() async throws {
        let members = lab.machines.flatMap { ["--member", $0.name] }
        let result = try await lab.holdfast(["cluster", "create", cluster] + members)
        guard result.succeeded else {
            throw LabError.commandFailed(
                "holdfast cluster create", status: "\(result.status)", detail: result.standardError)
        }
    }

    package func snapshot(mode: String = "hold") async throws -> SnapshotAnswer.Snapshot {
        try await holdfast(["snapshot", "create", cluster, "--mode", mode], as: SnapshotAnswer.self).snapshot
    }

    package struct Restored: Sendable {
        package var answer: RestoreAnswer.Restore
        package var judgement: WitnessJudgement
    }

    /// Kills every guest as a power cut would, restores, lets the witnesses talk for a while and judges them.
    package func killAndRestore(
        _ snapshot: String, options: [String] = [], listening: Duration = .seconds(6)
    ) async throws -> Restored {
        try await lab.destroyAllMachines()
        let ends = lab.logEnds()
        let answer = try await holdfast(["restore", snapshot] + options, as: RestoreAnswer.self).restore
        try await Task.sleep(for: listening)
        return Restored(answer: answer, judgement: try lab.judge(since: ends))
    }

    /// Rules and queues by which a packet could get to user space, over all desktops: none outside an epoch.
    package func waysToUserSpace() async throws -> Int {
        var ways = 0
        for desktop in lab.desktops {
            for tool in ["iptables-save", "ip6tables-save"] {
                let rules = try await lab.run([tool], in: .desktop(desktop.number))
                ways += rules.standardOutput.split(separator: "\n").count { $0.contains("NFQUEUE") }
            }
            let queues = try await lab.run(
                ["cat", "/proc/net/netfilter/nfnetlink_queue"], in: .desktop(desktop.number))
            ways += queues.standardOutput.split(separator: "\n").count
        }
        return ways
    }
}
