import DesktopLab
import Foundation
import Testing

/// More guests than the machine has cores by far: they shall speak less, or nobody has time to listen.
@Suite(
    "A cluster of eight members with two NICs and two disks each", .serialized, .enabled(if: isRoot),
    .lab(
        LabConfiguration(
            desktops: 4, machines: 8, memory: 96, directory: "/var/lib/holdfast-it-large", rate: 16_384,
            guestOptions: ["hf.ping=50", "hf.disk=500"], holdBudget: 10_000, hypervisor: chosen ?? .qemu, nics: 2,
            disks: 2)))
struct LargeClusterTests {
    @Test("It is snapshotted, killed and restored whole")
    func whole() async throws {
        let exercise = try CurrentLab.required()
        let snapshot = try await exercise.snapshot()
        #expect(snapshot.sealed)
        #expect(snapshot.members.count == 8)
        let moved = exercise.lab.machines[7]
        let desktop = exercise.lab.desktops[moved.desktop % exercise.lab.desktops.count]
        let restored = try await exercise.killAndRestore(
            snapshot.id, options: ["--place", "\(moved.name)=\(desktop.name)"])
        #expect(restored.judgement.isWhole, "\(restored.judgement)")
        // Between every two guests a ping-pong and a stream, each over another NIC.
        #expect(restored.judgement.total == 2 * 28, "\(restored.judgement)")
        #expect(try await exercise.waysToUserSpace() == 0)
    }
}
