import DesktopLab
import Dispatch
import Glibc
import Hypervisor
import NIOConcurrencyHelpers

extension Trial {
    func preparationTouchesNothing() async throws {
        let before = try await witness().report(after: 0) { $0.diskSequence > 0 }
        let cut = try await prepare()
        try await guestRuns("after the preparation")
        try await hasItsOwnDisks()
        try require(cut.frozenDisks.isEmpty, "there are frozen disks before the cut")
        let after = try witness().latest
        try require(after?.sequence ?? 0 > before.sequence, "the guest was started anew")
        await cut.abandon()
        await cut.settled()
        try await allIsAsBefore()
    }

    private func isRefused(_ state: VirtualMachine.State) async throws {
        let error = try await refusal("a VM that is \(state)") { try await prepare() }
        guard case .notRunning(_, let named) = error else { throw Breach("a VM that is \(state) is told by \(error)") }
        try require(named == state.rawValue, "a VM that is \(state) is called \(named)")
        let now = try await fixture.guestState()
        try require(now == state, "the VM that was \(state) is \(now)")
        try await nothingIsLeft()
    }

    func refusesAMachineThatIsOff() async throws {
        try await driver.destroy(fixture.uuid)
        try await isRefused(.off)
    }

    func refusesAMachineThatIsPaused() async throws {
        try await fixture.pauseGuest()
        try await isRefused(.paused)
        try await driver.resume(fixture.uuid)
        try await allIsAsBefore()
    }

    func refusesAMachineThatWasPausedMeanwhile() async throws {
        let cut = try await prepare()
        try await fixture.pauseGuest()
        let called = NIOLockedValueBox(false)
        try await refusal("the cut of a paused VM") { try await cut.perform { called.withLockedValue { $0 = true } } }
        try require(!called.withLockedValue { $0 }, "the cut of a paused VM was begun")
        try await hasItsOwnDisks()
        await cut.abandon()
        await cut.settled()
        try await allIsAsBefore()
    }

    func standsStillWhileFrozen() async throws {
        let witness = try witness()
        let spoken = NIOLockedValueBox<(before: UInt64, after: UInt64)>((0, 0))
        let cut = try await prepare()
        _ = try await cut.perform {
            let before = witness.said
            // Several times as long as the guest is ever silent while it runs.
            usleep(600_000)
            spoken.withLockedValue { $0 = (before, witness.said) }
        }
        let (before, after) = spoken.withLockedValue { $0 }
        try require(before > 0, "the guest was not frozen at all")
        try require(before == after, "the guest has said \(after - before) octets while it was frozen")
        await cut.abandon()
        await cut.settled()
        try await allIsAsBefore()
    }

    func runsAfterTheCut() async throws {
        let witness = try witness()
        let frozen = NIOLockedValueBox<UInt64>(0)
        let cut = try await prepare()
        let times = try await cut.perform { frozen.withLockedValue { $0 = witness.said } }
        try await guestRuns("after the cut")
        let place = frozen.withLockedValue { $0 }
        try require(place > 0, "whileFrozen was not called")
        let last = witness.reports(since: 0).last?.sequence ?? 0
        let first = try await witness.report(after: place)
        try require(first.sequence > 1 && last > 1, "the guest was started anew")
        try require(times.endedAt > times.startedAt, "the cut ended before it began")
        try require(times.pause > 0, "the guest is said not to have stood still")
        let span = times.endedAt - times.startedAt
        try require(times.pause <= span, "the guest is said to have stood still for longer than the cut took")
        let targets = Set(cut.frozenDisks.map(\.target))
        let expected = Set(fixture.disks.filter { !$0.readOnly }.map(\.target))
        try require(targets == expected, "frozen are \(targets)")
        try await refusal("a second cut of the same preparation") { try await cut.perform {} }
        try await guestRuns("after a second cut was refused")
        try await cut.imageComplete()
        await cut.finish()
        await cut.settled()
        try await allIsAsBefore()
    }

    func canBeLookedAtWhileCut() async throws {
        let cut = try await prepare()
        let (frozen, reached) = AsyncStream<Void>.makeStream()
        let gate = DispatchSemaphore(value: 0)
        let times = Task {
            try await cut.perform {
                reached.yield()
                gate.wait()
            }
        }
        for await _ in frozen { break }
        let result: Result<(alone: VirtualMachine, all: [VirtualMachine]), any Error>
        do {
            result = .success((try await driver.machine(fixture.uuid), try await driver.machines()))
        } catch {
            result = .failure(error)
        }
        gate.signal()
        _ = try await times.value
        let seen = try result.get()
        try require(seen.alone.name == fixture.name, "the VM is called \(seen.alone.name) while it is cut")
        try require(seen.all.contains { $0.uuid == fixture.uuid }, "the VM is not in the list while it is cut")
        await cut.abandon()
        await cut.settled()
        try await allIsAsBefore()
    }

    func imageWaitsForTheGates() async throws {
        let sink = CollectingSink()
        let cut = try await prepare(sink)
        guard case .background = cut.method else {
            throw Breach("the driver offers background images and took none: \(cut.method)")
        }
        let begin = ContinuousClock.now
        _ = try await cut.perform {}
        // Whatever the machine is busy with, more than this must not have come in that time.
        for _ in 0..<10 {
            let moved = sink.count
            let passed = begin.duration(to: .now) / .seconds(1)
            let most = Int(passed * 40 * 1_048_576) + (2 << 20)
            try require(moved <= most, "\(moved) octets of the image were moved in \(passed) s before the gates opened")
            try await Task.sleep(for: .milliseconds(20))
        }
        try await cut.imageComplete()
        try require(sink.count > 10 << 20, "the image has \(sink.count) octets")
        await cut.finish()
        await cut.settled()
        try await allIsAsBefore()
    }

    func cutsTwiceInARow() async throws {
        let own = Set(fixture.disks.filter { !$0.readOnly }.compactMap(\.path))
        for _ in 0..<2 {
            let sink = CollectingSink()
            let cut = try await prepare(sink)
            _ = try await cut.perform {}
            try require(Set(cut.frozenDisks.map(\.path)) == own, "frozen are \(cut.frozenDisks.map(\.path))")
            try await cut.imageComplete()
            try require(sink.count > 10 << 20, "the image has \(sink.count) octets")
            await cut.finish()
            // The next one does not ask whether the disks have been merged.
        }
        let last = try await prepare()
        await last.abandon()
        await last.settled()
        try await allIsAsBefore()
    }

    func leavesNothing() async throws {
        try await cutWhole()
        let processes = OpenFiles.children()
        let files = OpenFiles.descriptors
        for _ in 0..<3 { try await cutWhole() }
        let given = try await prepare()
        _ = try await given.perform {}
        await given.abandon()
        await given.settled()
        try await allIsAsBefore()
        // A process that has ended is seen a moment later.
        for _ in 0..<100 where !OpenFiles.children().subtracting(processes).isEmpty {
            try await Task.sleep(for: .milliseconds(20))
        }
        let left = OpenFiles.children().subtracting(processes)
        try require(left.isEmpty, "processes of cuts are left: \(left.joined(separator: ", "))")
        for _ in 0..<100 where OpenFiles.descriptors.count > files.count {
            try await Task.sleep(for: .milliseconds(20))
        }
        let now = OpenFiles.descriptors
        let new = now.filter { files[$0.key] != $0.value }.map { "\($0.key) \($0.value)" }.sorted()
        try require(now.count <= files.count, "cuts have left descriptors, among \(new.joined(separator: ", "))")
    }
}
