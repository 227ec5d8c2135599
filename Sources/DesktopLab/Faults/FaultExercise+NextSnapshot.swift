import Foundation

/// The snapshot after the fault.
extension FaultExercise {
    private struct Named: Decodable {
        var id: String
    }

    func snapshots() async throws -> [String] {
        struct List: Decodable {
            var snapshots: [Named]
        }
        let said = try await holdfast(["snapshot", "list", "--output", "json"])
        guard said.succeeded else {
            throw LabError.commandFailed("holdfast snapshot list", status: "\(said.status)", detail: Self.said(said))
        }
        return try JSONDecoder().decode(List.self, from: Data(said.standardOutput.utf8)).snapshots.map(\.id)
    }

    /// Takes the next snapshot, once; looks for halves of others; keeps the new one alone.
    func secure(known: Set<String>, base: String, into result: inout FaultResult) async throws -> String {
        struct Answer: Decodable {
            var snapshot: Named
        }
        let began = ContinuousClock.now
        let taken = try await holdfast(["snapshot", "create", cluster, "--output", "json"])
        guard taken.succeeded else {
            result.shortcomings.append("The next snapshot was not sealed: \(Self.said(taken))")
            return base
        }
        result.nextSnapshot = (ContinuousClock.now - began) / .milliseconds(1)
        let next = try JSONDecoder().decode(Answer.self, from: Data(taken.standardOutput.utf8)).snapshot.id

        for snapshot in try await snapshots() where !known.contains(snapshot) {
            let verified = try await holdfast(["snapshot", "verify", snapshot])
            if !verified.succeeded { result.shortcomings.append("\(snapshot) is not whole: \(Self.said(verified))") }
        }
        for room in ["staging", "trash"] {
            let folder = "\(lab.folders.repository)/\(room)"
            let left = try FileManager.default.contentsOfDirectory(atPath: folder)
            if !left.isEmpty { result.shortcomings.append("In the repository's \(room) is left: \(left).") }
        }
        for desktop in lab.desktops {
            let workspace = lab.folders.workspace(desktop.number)
            // A driver may have a folder of its own there, which stays.
            let left = try FileManager.default.subpathsOfDirectory(atPath: workspace).filter {
                var isFolder: ObjCBool = false
                return FileManager.default.fileExists(atPath: "\(workspace)/\($0)", isDirectory: &isFolder)
                    && !isFolder.boolValue
            }
            if !left.isEmpty { result.shortcomings.append("Of an epoch is left on \(desktop.name): \(left).") }
        }
        let condition = await LabCondition.look(at: lab)
        result.shortcomings += condition.complaints
        let stalled = try await WitnessProgress(of: lab.machines, in: lab).wait(patience: Self.patience)
        result.shortcomings += stalled
        for snapshot in try await snapshots() where snapshot != next {
            let deleted = try await holdfast(["snapshot", "delete", snapshot])
            if !deleted.succeeded { result.shortcomings.append("\(snapshot) stays: \(Self.said(deleted))") }
        }
        return next
    }
}
