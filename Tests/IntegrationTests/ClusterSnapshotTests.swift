import DesktopLab
import Foundation
import Testing

/// Real guests, real hypervisors (but VirtualBox, which is a stand-in), real packets: the product as a user has it.
@Suite(
    "A cluster of real guests", .serialized, .enabled(if: isRoot),
    .lab(directory: "/var/lib/holdfast-it", hypervisor: .mixed))
struct ClusterSnapshotTests {
    @Test("Every round of snapshot, kill and restore under load is sealed and whole", arguments: ["hold", "colour"])
    func rounds(mode: String) async throws {
        let exercise = try CurrentLab.required()
        for round in 1...max(1, roundCount) {
            let snapshot = try await exercise.snapshot(mode: mode)
            #expect(snapshot.sealed, "round \(round)")
            #expect(snapshot.mode == mode, "round \(round)")
            #expect(snapshot.packetsOutsideEpoch == 0, "round \(round)")
            // The last member changes its desktop every round.
            let moved = exercise.lab.machines[exercise.lab.machines.count - 1]
            let desktop = exercise.lab.desktops[(moved.desktop + round - 1) % exercise.lab.desktops.count]
            let restored = try await exercise.killAndRestore(
                snapshot.id, options: ["--place", "\(moved.name)=\(desktop.name)"])
            let judgement = restored.judgement
            #expect(judgement.isWhole, "round \(round): \(judgement)")
            #expect(try await exercise.waysToUserSpace() == 0, "round \(round)")
            print(
                "\(mode), round \(round): pause \(snapshot.members.map(\.pauseMilliseconds)) ms, hold "
                    + "\(snapshot.members.map(\.holdMilliseconds)) ms, skew \(snapshot.skewMilliseconds) ms, logged "
                    + "\(snapshot.members.map(\.logged)), replayed \(restored.answer.replayed), stall "
                    + "\(judgement.stall) ms, survived \(judgement.survived) of \(judgement.total)")
            _ = try await exercise.lab.holdfast(["snapshot", "delete", snapshot.id])
        }
    }

    @Test("The control: without coordination connections die, and the witness sees it")
    func control() async throws {
        let exercise = try CurrentLab.required()
        let snapshot = try await exercise.snapshot()
        let uncoordinated = try await UncoordinatedSnapshot.take(of: exercise.lab, interval: .milliseconds(500))
        // The guests stand on its files until they are restored once more.
        defer { uncoordinated.remove() }
        let judgement = try await uncoordinated.killAndRestore()
        #expect(judgement.survived < judgement.total)
        // The cluster is of use again for whoever comes next, from a snapshot that was taken by the protocol.
        let restored = try await exercise.killAndRestore(snapshot.id)
        #expect(restored.judgement.isWhole, "\(restored.judgement)")
    }

    @Test("A restore is refused while the originals run, and touches nothing")
    func originalsRunning() async throws {
        let exercise = try CurrentLab.required()
        let snapshot = try await exercise.snapshot()
        let refused = try await exercise.lab.holdfast(["restore", snapshot.id])
        #expect(refused.status == 21, "\(refused.standardError)")
        #expect(refused.standardError.contains("--replace"))
        let ends = exercise.lab.logEnds()
        try await exercise.lab.waitUntilTalking(since: ends)
        let replaced = try await exercise.lab.holdfast(["restore", snapshot.id, "--replace"])
        #expect(replaced.succeeded, "\(replaced.standardError)")
        try await exercise.lab.waitUntilTalking(since: exercise.lab.logEnds())
    }

    @Test("A VM that is paused or off, unknown, or in another cluster is refused by name and exit code")
    func refusedMembers() async throws {
        let exercise = try CurrentLab.required()
        let lab = exercise.lab
        let unknown = try await lab.holdfast(["cluster", "create", "ghosts", "--member", "vm-none"])
        #expect(unknown.status == 10, "\(unknown.standardError)")
        let second = try await lab.holdfast(["cluster", "create", "second", "--member", lab.machines[0].name])
        #expect(second.status == 12, "\(second.standardError)")

        let machine = lab.machines[1]
        let desktop = try #require(lab.desktops(running: machine.name).first)
        try await lab.suspend(machine.name, on: desktop)
        let paused = try await lab.holdfast(["snapshot", "create", exercise.cluster])
        #expect(paused.status == 11, "\(paused.standardError)")
        #expect(paused.standardError.contains(machine.name))
        try await lab.resume(machine.name, on: desktop)
        let again = try await exercise.snapshot()
        #expect(again.sealed)
    }

    @Test("A damaged image is named by verify and is not restored")
    func damagedImage() async throws {
        let exercise = try CurrentLab.required()
        let snapshot = try await exercise.snapshot()
        let whole = try await exercise.lab.holdfast(["snapshot", "verify", snapshot.id])
        #expect(whole.succeeded, "\(whole.standardError)")
        let member = exercise.lab.machines[0].name
        let image = "\(exercise.lab.folders.repository)/snapshots/\(snapshot.id)/\(member)/memory.img"
        let file = try #require(FileHandle(forUpdatingAtPath: image))
        try file.seek(toOffset: 500_000)
        let former = try #require(try file.read(upToCount: 1))
        try file.seek(toOffset: 500_000)
        try file.write(contentsOf: Data([former[0] ^ 0x40]))
        try file.close()
        let damaged = try await exercise.lab.holdfast(["snapshot", "verify", snapshot.id])
        #expect(damaged.status == 19, "\(damaged.standardOutput) \(damaged.standardError)")
        #expect((damaged.standardOutput + damaged.standardError).contains(member))
        let refused = try await exercise.lab.holdfast(["restore", snapshot.id, "--replace"])
        #expect(refused.status == 19, "\(refused.standardError)")
        // Refused before anything was stopped.
        try await exercise.lab.waitUntilTalking(since: exercise.lab.logEnds())
        let deleted = try await exercise.lab.holdfast(["snapshot", "delete", snapshot.id])
        #expect(deleted.succeeded, "\(deleted.standardError)")
    }
}
