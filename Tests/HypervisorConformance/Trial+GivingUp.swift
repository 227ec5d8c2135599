import Dispatch
import Hypervisor
import NIOConcurrencyHelpers

extension Trial {
    private struct GivenUp: Error {}

    /// Ends a cut that has failed, and looks whether it left the guest as it was.
    private func giveUp(_ cut: any PreparedCut) async throws {
        try await refusal("the image of a cut that failed") { try await cut.imageComplete() }
        await cut.abandon()
        await cut.settled()
        try await allIsAsBefore()
        try await refusal("a cut that was given up") { try await cut.perform {} }
        try await guestRuns("after a cut that was given up was refused")
    }

    func runsAfterAFailureWhileFrozen() async throws {
        let cut = try await prepare()
        let error = try await refusal("a failure while frozen") { try await cut.perform { throw GivenUp() } }
        try require("\(error)".contains("GivenUp"), "the reason of the failure is lost: \(error)")
        // Nobody has ended the cut yet.
        try await guestRuns("after a failure while it was frozen")
        try await giveUp(cut)
    }

    func runsAfterASinkThatFails(at limit: Int) async throws {
        let cut = try await prepare(CollectingSink(limit: limit))
        do throws(HypervisorError) {
            _ = try await cut.perform {}
        } catch {
            // It may be noticed before the guest is touched, and with a guest that stands still it is.
            if limit > 0, case .background = cut.method { throw Breach("the cut failed with its sink: \(error)") }
        }
        try await guestRuns("after its sink has failed")
        try await refusal("an image without a sink") { try await cut.imageComplete() }
        try await guestRuns("after its image has failed")
        try await giveUp(cut)
    }

    func canBeAbandonedBeforeTheCut() async throws {
        let cut = try await prepare()
        await cut.abandon()
        await cut.settled()
        try await allIsAsBefore()
        let called = NIOLockedValueBox(false)
        try await refusal("a cut after it was given up") {
            try await cut.perform { called.withLockedValue { $0 = true } }
        }
        try require(!called.withLockedValue { $0 }, "the guest was frozen after the cut was given up")
        try await allIsAsBefore()
    }

    func canBeAbandonedDuringTheCut() async throws {
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
        let abandoning = Task { await cut.abandon() }
        // Time for it to arrive; whether it does is not what is asked here.
        try await Task.sleep(for: .milliseconds(200))
        gate.signal()
        _ = await times.result
        await abandoning.value
        await cut.settled()
        try await allIsAsBefore()
        try await giveUp(cut)
    }

    func canBeAbandonedAfterTheCut() async throws {
        let cut = try await prepare()
        _ = try await cut.perform {}
        let waiting = Task { try await cut.imageComplete() }
        await cut.abandon()
        // Whoever waits for the image is not left waiting.
        _ = await waiting.result
        try await giveUp(cut)
    }

    func endsInAnyOrder() async throws {
        for moment in 0..<3 {
            let cut = try await prepare()
            if moment > 0 { _ = try await cut.perform {} }
            if moment > 1 { try await cut.imageComplete() }
            async let first: Void = moment == 1 ? cut.abandon() : cut.finish()
            async let second: Void = moment == 1 ? cut.finish() : cut.abandon()
            async let third: Void = cut.finish()
            _ = await (first, second, third)
            try await guestRuns("after three ends at once")
            await cut.settled()
            await cut.settled()
            try await allIsAsBefore()
            await cut.abandon()
            await cut.finish()
            await cut.settled()
            try await refusal("a cut after its end") { try await cut.perform {} }
            try await allIsAsBefore()
        }
    }

    func survivesAKilledGuest() async throws {
        for finishes in [false, true] {
            try await fixture.startGuest()
            try await guestWorks()
            let cut = try await prepare()
            _ = try await cut.perform {}
            let frozen = cut.frozenDisks
            try await fixture.killGuest()
            if case .background = cut.method {
                try await refusal("the image of a killed guest") { try await cut.imageComplete() }
            }
            if finishes { await cut.finish() } else { await cut.abandon() }
            await cut.settled()
            try await isOffOnItsOwnDisks()
            try require(!frozen.isEmpty, "nothing was frozen")
        }
        try await fixture.startGuest()
        try await guestWorks()
        try await killedWhileFrozen()
    }

    private func killedWhileFrozen() async throws {
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
        let killed = await Task { try await fixture.killGuest() }.result
        gate.signal()
        let result = await times.result
        try killed.get()
        if case .success = result { throw Breach("the cut of a guest that was killed while frozen succeeded") }
        await cut.abandon()
        await cut.settled()
        try await isOffOnItsOwnDisks()
    }

    func isOffOnItsOwnDisks() async throws {
        if fixture.driver.capabilities.lacks[.definitions] == nil {
            let machine = try await driver.machine(fixture.uuid)
            try require(machine.state == .off, "the killed VM is \(machine.state)")
            try require(Set(machine.disks) == Set(fixture.disks), "the killed VM's disks are \(machine.disks)")
        }
        try await nothingIsLeft()
        for disk in fixture.disks {
            guard let path = disk.path else { continue }
            try await DiskCheck.check(path, format: disk.format)
        }
    }

    func runsAfterAWriteError() async throws {
        for finishes in [false, true] {
            let cut = try await prepare()
            defer { try? fixture.emptyWorkspace() }
            try fixture.fillWorkspace()
            _ = try await cut.perform {}
            let end = ContinuousClock.now + .seconds(30)
            while try await fixture.guestState() == .running {
                try require(ContinuousClock.now < end, "the guest went on although its overlay was full")
                try await Task.sleep(for: .milliseconds(20))
            }
            if finishes {
                await cut.finish()
            } else {
                try await refusal("the image of a guest that stands still") { try await cut.imageComplete() }
                await cut.abandon()
            }
            await cut.settled()
            // Still full: the guest writes into its own disk again.
            try await allIsAsBefore()
        }
    }
}
