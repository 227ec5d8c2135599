import DesktopLab
import Foundation
import Testing

@Suite("An agent is killed", .serialized, .enabled(if: isRoot), .lab(directory: "/var/lib/holdfast-it-killed"))
struct KilledAgentTests {
    /// Images that are being written in the repository's staging folder, by member.
    private func growingImages(_ lab: Lab) -> Set<String> {
        let staging = "\(lab.folders.repository)/staging"
        let parts = FileManager.default.enumerator(atPath: staging)?.compactMap { $0 as? String } ?? []
        return Set(
            parts.filter { part in
                // While it is written, a part has a temporary name.
                guard part.contains("/.memory.img.") else { return false }
                let size = try? FileManager.default.attributesOfItem(atPath: "\(staging)/\(part)")[.size] as? UInt64
                return size ?? 0 > 64 << 10
            }.compactMap { $0.split(separator: "/").dropLast().last.map(String.init) })
    }

    private func ask(_ machine: Lab.Machine, _ command: String, _ lab: Lab) async throws -> String {
        try await lab.monitor(#"{"execute":"\#(command)"}"#, of: machine.name, on: machine.desktop)
    }

    /// QEMU 7.2 can hang when the last reader of a background image goes; somebody must read on.
    @Test("An agent killed while it saves an image leaves its guests running, and the next snapshot is sealed")
    func whileSaving() async throws {
        let exercise = try CurrentLab.required()
        let lab = exercise.lab
        for round in 1...roundCount {
            let machine = lab.machines[1]
            let snapshot = Task { try await lab.holdfast(["snapshot", "create", exercise.cluster]) }
            let end = ContinuousClock.now + .seconds(20)
            while !growingImages(lab).contains(machine.name), ContinuousClock.now < end {
                try await Task.sleep(for: .milliseconds(2))
            }
            try #require(growingImages(lab).contains(machine.name), "round \(round): the image was not seen to grow")
            try await lab.killAgent(desktop: machine.desktop)
            let ends = lab.logEnds()
            let failed = try await snapshot.value
            #expect(!failed.succeeded, "round \(round)")

            // Nobody has started the agent again yet.
            try await lab.waitUntilTalking(since: ends)
            #expect(try await ask(machine, "query-status", lab).contains("\"running\""), "round \(round)")
            // A failed image does not hang every guest, but one that was read to its end hangs none.
            var image = try await ask(machine, "query-migrate", lab)
            while image.contains("\"active\"") || image.contains("\"setup\"") {
                try await Task.sleep(for: .milliseconds(20))
                image = try await ask(machine, "query-migrate", lab)
            }
            #expect(image.contains("\"completed\""), "round \(round): \(image)")

            try await lab.restartAgent(desktop: machine.desktop)
            #expect(try await exercise.waysToUserSpace() == 0, "round \(round)")
            let next = try await exercise.snapshot()
            #expect(next.sealed, "round \(round)")
            let deleted = try await lab.holdfast(["snapshot", "delete", next.id])
            #expect(deleted.succeeded, "round \(round): \(deleted.standardError)")
        }
    }
}
