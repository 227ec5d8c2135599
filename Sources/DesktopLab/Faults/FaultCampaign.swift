import Foundation

/// Runs many cases, one after the other, on one lab; after a case that did not hold, on a new one.
package struct FaultCampaign: Sendable {
    private let configuration: LabConfiguration
    private let evidence: String?
    private let say: @Sendable (String) -> Void
    private static let cluster = "faults"

    /// - Parameter evidence: folder for the logs of cases that did not hold; nil: they are not kept.
    package init(configuration: LabConfiguration, evidence: String? = nil, say: @escaping @Sendable (String) -> Void) {
        self.configuration = configuration
        self.evidence = evidence
        self.say = say
    }

    /// Two desktops with three small guests; short queues and small file systems, which can overflow, and a long hold
    /// budget, so that a busy machine alone breaks no epoch.
    package static func configuration(
        directory: String, executables: String? = nil, hypervisor: LabHypervisor
    ) -> LabConfiguration {
        let libraries = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map { "/usr/lib/\($0)/faketime/libfaketimeMT.so.1" }
        return LabConfiguration(
            desktops: 2, machines: 3, memory: 96, directory: directory, executables: executables, rooms: LabRooms(),
            holdBudget: 2_000, queueLength: 1_024,
            clockLibrary: libraries.first { FileManager.default.fileExists(atPath: $0) }, hypervisor: hypervisor)
    }

    /// When the task is cancelled, what has been done by then.
    package func run(_ cases: [FaultCase]) async throws -> [FaultResult] {
        var results: [FaultResult] = []
        var ground: Ground?
        for (number, subject) in cases.enumerated() {
            if Task.isCancelled { break }
            var result: FaultResult
            do {
                let present: Ground
                if let ground { present = ground } else { present = try await prepare() }
                ground = present
                var base: String
                (result, base) = await FaultExercise(
                    lab: present.lab, supervisor: present.supervisor, cluster: Self.cluster
                ).run(subject, base: present.base)
                ground?.base = base
            } catch {
                result = FaultResult(subject)
                result.shortcomings = ["The lab was not made: \(error)"]
            }
            // Nothing can be said of a case whose commands were cut short.
            if Task.isCancelled { break }
            results.append(result)
            say(
                "\(number + 1) of \(cases.count)  \(subject): \(result.held ? "held" : "NOT held"), landed in "
                    + "\(result.landed), \(result.outcome), recovery \(Int(result.recovery)) ms, connections "
                    + "\(result.connections.map { "\(Int($0))" } ?? "-") ms, \(result.seconds) s"
                    + result.shortcomings.map { "\n    \($0)" }.joined())
            if !result.held {
                keepLogs(of: subject)
                try await clear(ground)
                ground = nil
            }
        }
        try await clear(ground)
        return results
    }

    private struct Ground: Sendable {
        var lab: Lab
        var supervisor: LabSupervisor
        /// Name of a sealed snapshot of all guests.
        var base: String
    }

    private func prepare() async throws -> Ground {
        try await Lab.down(configuration.directory)
        let lab = try await Lab.up(configuration, progress: say)
        let exercise = ClusterExercise(lab: lab, cluster: Self.cluster)
        try await exercise.createCluster()
        let base = try await exercise.snapshot().id
        let supervisor = LabSupervisor(lab: lab)
        await supervisor.start()
        return Ground(lab: lab, supervisor: supervisor, base: base)
    }

    private func clear(_ ground: Ground?) async throws {
        await ground?.supervisor.stop()
        // Not by this task, which may have been cancelled.
        try await Task { [configuration] in try await Lab.down(configuration.directory) }.value
    }

    private func keepLogs(of subject: FaultCase) {
        guard let evidence else { return }
        let folder = "\(evidence)/\(subject)"
        try? FileManager.default.removeItem(atPath: folder)
        try? FileManager.default.createDirectory(atPath: evidence, withIntermediateDirectories: true)
        let folders = LabFolders(root: configuration.directory)
        try? FileManager.default.copyItem(atPath: folders.logs, toPath: folder)
        try? FileManager.default.copyItem(atPath: folders.serial, toPath: "\(folder)/serial")
        for desktop in 1...configuration.desktops {
            try? FileManager.default.copyItem(
                atPath: "\(folders.libvirt(desktop, .log))/qemu", toPath: "\(folder)/qemu-\(desktop)")
        }
    }
}
