import DesktopLab
import Foundation
import Hypervisor
import HypervisorConformance
import Testing

@testable import QEMUHypervisor

/// With a real guest under a real QEMU.
@Suite(.serialized, .enabled(if: getuid() == 0), QEMULab()) struct QEMUConformanceTests {
    @Test(.timeLimit(.minutes(5)), arguments: Obligation.allCases) func meets(obligation: Obligation) async throws {
        try await Conformance().check(obligation, on: try QEMUFixture(try #require(QEMULab.lab)))
    }

    /// Shared memory is saved while the guest stands still, and here nobody but the driver lets it run again.
    @Test(
        .timeLimit(.minutes(5)),
        arguments: [
            Obligation.standsStillWhileFrozen, .runsAfterTheCut, .cutsTwiceInARow, .runsAfterAFailureWhileFrozen,
            .runsAfterASinkThatTakesNothing, .canBeAbandonedDuringTheCut, .loadedGoesOnFromTheCut,
            .recoversAFrozenGuest,
        ]) func meetsWithSharedMemory(obligation: Obligation) async throws
    {
        let fixture = try QEMUFixture(try #require(QEMULab.lab), sharesMemory: true)
        try await Conformance().check(obligation, on: fixture)
    }

    /// Nobody else could: the agent alone has the description of what it has restored.
    @Test(.timeLimit(.minutes(5))) func aVMThatIsOffIsSwitchedOnByItsDescription() async throws {
        let fixture = try QEMUFixture(try #require(QEMULab.lab))
        try await fixture.startGuest()
        let driver = try #require(fixture.driver as? QEMUDriver)
        let before = try await driver.machine(fixture.uuid)
        try await driver.destroy(fixture.uuid)
        let witness = try #require(fixture.witness)
        for called in [fixture.name, fixture.uuid.uppercased()] {
            let place = witness.said
            try await driver.start(called)
            try await witness.report(after: place)
            let process = try #require(GuestProcess.find(uuid: fixture.uuid))
            try await driver.start(called)
            #expect(process.isRunning, "one that runs is left as it is")
            let now = try await driver.machine(fixture.uuid)
            #expect(now.state == .running)
            #expect(now.requirements == before.requirements && now.disks == before.disks)
            #expect(
                now.nics.map(\.mac) == before.nics.map(\.mac) && now.nics.map(\.bridge) == before.nics.map(\.bridge))
            try await driver.destroy(fixture.uuid)
        }
        let misspelt = "\(driver.folder.machines)/misspelt.json"
        try Data("{".utf8).write(to: URL(filePath: misspelt))
        defer { unlink(misspelt) }
        let unknown = await #expect(throws: HypervisorError.self) { try await driver.start("nobody") }
        guard case .unknownMachine(let text) = unknown else {
            Issue.record("\(String(describing: unknown))")
            return
        }
        #expect(text.contains("nobody") && text.contains(misspelt))
    }
}

/// One lab with one desktop and one guest for a whole suite.
struct QEMULab: SuiteTrait, TestScoping {
    @TaskLocal static var lab: Lab?

    /// Once, around the suite and not around each test.
    var isRecursive: Bool { false }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        let lab = try await Lab.up(
            LabConfiguration(
                desktops: 1, machines: 1, directory: "/tmp/hf-qemu-\(UUID().uuidString.prefix(8))",
                guestOptions: ["hf.report=50", "hf.disk=20"], startsProducts: false, rooms: LabRooms(),
                hypervisor: .qemu, disks: 2))
        let result: Result<Void, any Error>
        do {
            result = .success(try await Self.$lab.withValue(lab) { try await function() })
        } catch {
            result = .failure(error)
        }
        try await lab.down()
        print(ConformanceTable.shared.text)
        try result.get()
    }
}
