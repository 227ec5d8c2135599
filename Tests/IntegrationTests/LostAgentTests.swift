import DesktopLab
import Foundation
import Testing

@Suite(
    "An agent is lost", .serialized, .enabled(if: isRoot),
    .lab(directory: "/var/lib/holdfast-it-killed", hypervisor: .libvirt))
struct LostAgentTests {
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

    private struct Agents: Decodable {
        struct Agent: Decodable {
            var host: String
            var connected: Bool
        }
        var agents: [Agent]
    }

    private func wait(until connected: Bool, _ host: String, _ lab: Lab) async throws -> Bool {
        let end = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < end {
            let said = try await lab.holdfast(["agents", "--output", "json"])
            let list = try JSONDecoder().decode(Agents.self, from: Data(said.standardOutput.utf8))
            if list.agents.first(where: { $0.host == host })?.connected == connected { return true }
            try await Task.sleep(for: .milliseconds(50))
        }
        return false
    }

    private func goodbyes(of host: String, _ lab: Lab) throws -> Int {
        try String(contentsOfFile: lab.folders.log("agent-\(host)"), encoding: .utf8)
            .components(separatedBy: "no session").count
    }

    /// Without a goodbye of either end TCP alone would take a quarter of an hour.
    @Test("A desktop whose link is cut is missed by the manager, and misses it")
    func linkCut() async throws {
        let lab = try CurrentLab.required().lab
        let host = lab.desktops[1].name
        for round in 1...roundCount {
            #expect(try await wait(until: true, host, lab), "round \(round)")
            let before = try goodbyes(of: host, lab)
            try await lab.setLink(ofDesktop: 2, up: false)
            let missed = try await wait(until: false, host, lab)
            let end = ContinuousClock.now + .seconds(30)
            while try goodbyes(of: host, lab) == before, ContinuousClock.now < end {
                try await Task.sleep(for: .milliseconds(50))
            }
            let misses = try goodbyes(of: host, lab) > before
            try await lab.setLink(ofDesktop: 2, up: true)
            #expect(missed, "round \(round): the manager still shows it as connected")
            #expect(misses, "round \(round): the agent has not noticed")
            #expect(try await wait(until: true, host, lab), "round \(round): it did not come back")
        }
    }
}
