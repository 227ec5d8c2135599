import Foundation

/// What one member whose cut comes late costs the others, in hold and in colour mode, in one run.
///
/// The straggler is alone on its desktop. Its libvirtd is stopped while the gates flush, so that the order to cut finds
/// nobody who could obey; the guest itself runs on. How long the others hear nothing of each other is what their
/// witnesses say, in guest time: the pause of the one that listens is not in it, that of the one that speaks is.
package struct StragglerBenchmark: Sendable {
    package struct Result: Codable, Sendable {
        /// What was asked for.
        package var mode: String
        /// In which mode the snapshot was sealed; nil when it was given up.
        package var sealedIn: String?
        /// Why it was given up.
        package var failure: String?
        /// For how long nobody could cut the straggler, in milliseconds.
        package var delay: Int
        /// Longest silence of any connection among the other members, in milliseconds.
        package var longestSilence: UInt64
        /// The same over as long a time without a snapshot, before it.
        package var quietSilence: UInt64

        enum CodingKeys: String, CodingKey {
            case mode, failure
            case sealedIn = "sealed_in"
            case delay = "delay_ms"
            case longestSilence = "longest_silence_ms"
            case quietSilence = "longest_silence_without_snapshot_ms"
        }
    }

    private let lab: Lab
    private let delay: Duration
    private let say: @Sendable (String) -> Void

    package init(lab: Lab, delay: Duration, say: @escaping @Sendable (String) -> Void) {
        self.lab = lab
        self.delay = delay
        self.say = say
    }

    package func run(rounds: Int) async throws -> [Result] {
        let exercise = ClusterExercise(lab: lab)
        try await exercise.createCluster()
        var results: [Result] = []
        for round in 1...rounds {
            for mode in ["hold", "colour"] {
                let result = try await measure(mode, exercise)
                say("round \(round) of \(rounds), \(mode): \(result.longestSilence) ms")
                results.append(result)
            }
        }
        return results
    }

    private func measure(_ mode: String, _ exercise: ClusterExercise) async throws -> Result {
        // What the last snapshot left to be written must not be heard in this one.
        try await Task.sleep(for: .seconds(4))
        let before = lab.logEnds()
        try await Task.sleep(for: delay * 2)
        let quiet = try longestSilence(since: before)
        let during = lab.logEnds()
        let answer = try await snapshot(mode, exercise)
        // A report comes every half second, and tells of the time since the one before.
        try await Task.sleep(for: .seconds(2))
        var result = Result(
            mode: mode, sealedIn: nil, failure: nil, delay: Int(delay / .milliseconds(1)),
            longestSilence: try longestSilence(since: during), quietSilence: quiet)
        if answer.succeeded {
            let snapshot = try JSONDecoder().decode(
                SnapshotAnswer.self, from: Data(answer.standardOutput.utf8)
            ).snapshot
            result.sealedIn = snapshot.mode
            _ = try await lab.holdfast(["snapshot", "delete", snapshot.id])
        } else {
            result.failure = answer.standardError.trimmingCharacters(in: .whitespacesAndNewlines)
        }
        return result
    }

    private var straggler: Lab.Machine { lab.machines[lab.machines.count - 1] }

    private func snapshot(_ mode: String, _ exercise: ClusterExercise) async throws -> CommandResult {
        let phases = try ManagerPhases(log: lab.folders.log("manager"))
        let libvirtd = lab.daemon(straggler.desktop).role
        let (lab, delay) = (lab, delay)
        phases.onEntry(of: "flushing", in: .snapshot) { try? lab.signal(libvirtd, SIGSTOP) }
        let wakes = Task {
            guard await phases.entered() else { return }
            try await Task.sleep(for: delay)
            try lab.signal(libvirtd, SIGCONT)
        }
        let answer = try await lab.holdfast(
            ["snapshot", "create", exercise.cluster, "--mode", mode, "--output", "json"])
        phases.end()
        _ = await wakes.result
        return answer
    }

    private func longestSilence(since ends: [String: UInt64]) throws -> UInt64 {
        let others = lab.machines.dropLast()
        let indices = Set(others.map(\.index))
        let reports = try others.flatMap { try lab.witnessReports(of: $0.name, since: ends[$0.name] ?? 0).dropFirst() }
        return reports.flatMap(\.connections).filter { indices.contains($0.peer) }.map(\.silence).max() ?? 0
    }

    package static func table(_ results: [Result]) -> String {
        let rows = results.map { result in
            [
                result.mode, result.sealedIn.map { "sealed in \($0) mode" } ?? "given up",
                "\(result.longestSilence) ms",
                "\(result.quietSilence) ms",
            ]
        }
        let all = [["asked for", "snapshot", "longest silence of the others", "without a snapshot"]] + rows
        return all.map { row in
            row.enumerated().map { column, text in
                text.padding(toLength: (all.map { $0[column].count }.max() ?? 0) + 2, withPad: " ", startingAt: 0)
            }.joined().trimmingCharacters(in: .whitespaces)
        }.joined(separator: "\n")
    }
}
