import DesktopLab
import Foundation
import Glibc
import Hypervisor
import HypervisorConformance
import Logging
import Testing

@testable import VirtualBoxHypervisor

/// What VBoxManage is known to do wrong, with the stand-in and a real guest: after each of it the guest runs, and nothing of
/// ours is left.
@Suite(.serialized, .enabled(if: getuid() == 0), StandInScope()) struct StandInFaultTests {
    private let uuid = StandInDesktop.uuid

    private var patience: CallPatience {
        var patience = CallPatience()
        patience.save = .seconds(6)
        patience.merge = .seconds(20)
        patience.resume = .seconds(3)
        return patience
    }

    private func desktop() throws -> StandInDesktop { try #require(StandInScope.desktop) }

    /// A guest that works, and a driver without much patience.
    private func begin() async throws -> (StandInDesktop, StandInFixture, VirtualBoxDriver) {
        let desktop = try desktop()
        try desktop.fault()
        let fixture = StandInFixture(desktop)
        let driver = desktop.driver(patience: patience)
        try await driver.recover(workspace: desktop.workspace)
        try await fixture.startGuest()
        try await works(fixture)
        return (desktop, fixture, driver)
    }

    private func works(_ fixture: StandInFixture) async throws {
        let witness = try #require(fixture.witness)
        try await witness.report(after: witness.said)
    }

    private func allIsAsBefore(_ fixture: StandInFixture) async throws {
        try fixture.desktop.fault()
        #expect(try await fixture.guestState() == .running)
        try await works(fixture)
        #expect(try await fixture.residue() == [])
        #expect(try FileManager.default.contentsOfDirectory(atPath: fixture.workspace) == [])
        #expect(Set(try await fixture.driver.machine(uuid).disks) == Set(fixture.disks))
    }

    private func prepare(_ driver: VirtualBoxDriver, _ sink: CollectingSink = CollectingSink()) async throws
        -> any PreparedCut
    {
        try await driver.prepareCut(of: uuid, workspace: try desktop().workspace, sink: sink)
    }

    @Test(
        .timeLimit(.minutes(5)),
        arguments: [
            "snapshot-take hang", "snapshot-take hang-after", "snapshot-take lie", "snapshot-take lose",
            "snapshot-take fail", "snapshot-take locked", "snapshot-list fail", "controlvm-pause hang",
            "controlvm-pause hang-after", "controlvm-pause lie", "controlvm-pause fail", "controlvm-pause locked",
        ])
    func aCutThatFailsLeavesTheGuestRunning(fault: String) async throws {
        let (desktop, fixture, driver) = try await begin()
        var patience = patience
        if fault.hasPrefix("controlvm") { patience.control = .seconds(3) }
        let hasty = desktop.driver(patience: patience)
        let cut = try await prepare(hasty)
        try desktop.fault(fault)
        await #expect(throws: HypervisorError.self) { try await cut.perform {} }
        try desktop.fault()
        #expect(try await fixture.guestState() == .running)
        try await works(fixture)
        await #expect(throws: HypervisorError.self) { try await cut.imageComplete() }
        await cut.abandon()
        await cut.settled()
        // What was cut off may have been done after all.
        try await driver.recover(workspace: desktop.workspace)
        try await allIsAsBefore(fixture)
    }

    @Test(
        .timeLimit(.minutes(5)),
        arguments: [
            "controlvm-resume fail 2", "controlvm-resume lie 2", "controlvm-resume hang 1",
            "controlvm-resume hang-after 1",
            "controlvm-resume locked 3", "controlvm-pause locked 2", "snapshot-delete lie 1", "snapshot-delete fail 1",
            "showvminfo slow:300", "* old-format",
        ])
    func aCutSucceedsInSpiteOf(fault: String) async throws {
        let (desktop, fixture, driver) = try await begin()
        let sink = CollectingSink()
        let cut = try await prepare(driver, sink)
        try desktop.fault(fault)
        let times = try await cut.perform {}
        #expect(times.pause > 0)
        #expect(try await fixture.guestState() == .running)
        try await works(fixture)
        try await cut.imageComplete()
        #expect(sink.count > 10 << 20)
        await cut.finish()
        await cut.settled()
        try await allIsAsBefore(fixture)
    }

    @Test(.timeLimit(.minutes(5))) func aTaskThatIsCancelledLeavesNoGuestPaused() async throws {
        let (_, fixture, driver) = try await begin()
        let cut = try await prepare(driver)
        let (frozen, reached) = AsyncStream<Void>.makeStream()
        let task = Task {
            try await cut.perform {
                reached.yield()
                usleep(200_000)
            }
        }
        for await _ in frozen { break }
        task.cancel()
        _ = await task.result
        #expect(try await fixture.guestState() == .running)
        let ending = Task { await cut.abandon() }
        ending.cancel()
        await ending.value
        await cut.settled()
        try await allIsAsBefore(fixture)
    }

    @Test(.timeLimit(.minutes(5))) func aDesktopThatSleepsIsNotWoken() async throws {
        let (desktop, fixture, driver) = try await begin()
        func expectSleep(_ body: () async throws -> Void) async {
            do {
                try await body()
                Issue.record("A VM of a sleeping desktop was not refused")
            } catch HypervisorError.notRunning(let text, let state) {
                #expect(text.contains("power management"))
                #expect(state == "paused")
            } catch {
                Issue.record("A VM of a sleeping desktop is refused with \(error)")
            }
        }
        let cut = try await prepare(driver)
        try await desktop.manage("standin", "sleep", uuid)
        await expectSleep { _ = try await cut.perform {} }
        await expectSleep { _ = try await self.prepare(desktop.driver()) }
        await expectSleep { try await driver.resume(self.uuid) }
        await cut.abandon()
        await cut.settled()
        #expect(try await fixture.guestState() == .paused)
        try await desktop.manage("standin", "wake", uuid)
        try await allIsAsBefore(fixture)
        // And if it fell asleep in the middle of a cut of an agent that died.
        let lost = try await prepare(desktop.driver())
        _ = try await lost.perform {}
        try await desktop.manage("standin", "sleep", uuid)
        try await desktop.driver().recover(workspace: desktop.workspace)
        #expect(try await fixture.guestState() == .paused)
        try await desktop.manage("standin", "wake", uuid)
        try await allIsAsBefore(fixture)
    }

    @Test(.timeLimit(.minutes(5))) func snapshotsOfTheOwnerStay() async throws {
        let (desktop, fixture, driver) = try await begin()
        // Called as ours are, and not ours all the same.
        let theirs = "holdfast-00000000-0000-0000-0000-000000000000"
        try await desktop.manage("snapshot", uuid, "take", theirs, "--description", "says \"hi\"\nSnapshotUUID=\"x\"")
        try await works(fixture)
        let cut = try await prepare(driver)
        _ = try await cut.perform {}
        try await cut.imageComplete()
        #expect(cut.frozenDisks.count == 2)
        for disk in cut.frozenDisks {
            // Based on another image, so a copy that anybody can read.
            #expect(disk.format == "vdi")
            try await Command.require(["qemu-img", "check", "-q", "-f", disk.format, disk.path])
        }
        await cut.finish()
        await cut.settled()
        let list = try await desktop.manage("snapshot", uuid, "list", "--machinereadable")
        #expect(list.contains("SnapshotName=\"\(theirs)\""))
        #expect(!list.contains("SnapshotName-1"))
        try await desktop.manage("snapshot", uuid, "delete", theirs)
        try await allIsAsBefore(fixture)
    }

    @Test(.timeLimit(.minutes(5))) func aSnapshotThatCannotBeDeletedStaysInTheJournal() async throws {
        let (desktop, fixture, driver) = try await begin()
        let cut = try await prepare(driver)
        _ = try await cut.perform {}
        try desktop.fault("snapshot-delete lie")
        await cut.finish()
        await cut.settled()
        #expect(VirtualBoxJournal.all(in: desktop.workspace).count == 1)
        #expect(try await fixture.guestState() == .running)
        try desktop.fault()
        try await desktop.driver().recover(workspace: desktop.workspace)
        try await allIsAsBefore(fixture)
    }
}
