import Glibc
import Hypervisor
import Logging
import NIOConcurrencyHelpers

/// One cut of one QEMU: pause, divert the disks into overlays, start the image, run again.
final class QEMUCut: PreparedCut {
    private struct State: Sendable {
        enum Phase: Sendable {
            case prepared
            case performing
            case performed
            case failed
        }

        var phase = Phase.prepared
        var frozenDisks: [FrozenDisk] = []
        /// Whether the guest was seen to stand still because its overlay could not grow.
        var cannotWrite = false
        /// What lets the guest run and ends the image, and then what merges the disks; all ends share them.
        var waking: Task<Bool, Never>?
        var ending: Task<Void, Never>?
        /// Both are given back at the end: a monitor serves one client.
        var monitor: MonitorSocket?
        var stream: ImageStream?
        /// The ending, while it waits for a cut that is just being made.
        var waiter: CheckedContinuation<Void, Never>?
    }

    private static let stop = #"{"execute":"stop"}"#

    let method: CutMethod
    let path: String
    let journal: CutJournal
    let description: String
    private let machine: VirtualMachine
    private let process: GuestProcess?
    private let workspace: String
    /// The command that diverts all disks at once, made before anything stands still.
    private let transaction: String?
    private let driver: QEMUDriver
    private let state = NIOLockedValueBox(State())

    init(
        of guest: RunningGuest, method: CutMethod, workspace: String, journal: CutJournal, transaction: String?,
        stream: ImageStream, driver: QEMUDriver
    ) {
        state.withLockedValue {
            $0.monitor = guest.monitor
            $0.stream = stream
        }
        path = guest.path
        machine = guest.machine
        process = guest.process
        description = guest.description.text
        self.method = method
        self.workspace = workspace
        self.journal = journal
        self.transaction = transaction
        self.driver = driver
    }

    private var name: String { machine.name }
    private var uuid: String { machine.uuid }
    var monitor: MonitorSocket? { state.withLockedValue(\.monitor) }
    /// Nil once the cut has come to its end.
    var stream: ImageStream? { state.withLockedValue(\.stream) }
    private var logger: Logger { driver.logger }

    var frozenDisks: [FrozenDisk] { state.withLockedValue(\.frozenDisks) }

    /// What the VM is, as it was prepared, while the cut is being made and no question may delay it.
    var machineWhileCut: VirtualMachine? { state.withLockedValue { $0.phase == .performing ? machine : nil } }

    // MARK: The cut

    func perform(whileFrozen: @escaping @Sendable () throws -> Void) async throws(HypervisorError) -> CutTimes {
        let begins = state.withLockedValue { state in
            guard state.phase == .prepared, state.ending == nil else { return false }
            state.phase = .performing
            return true
        }
        guard begins else { throw .failed("The cut of \(name) was made or given up before.") }
        do throws(HypervisorError) {
            let times = try await driver.thread.run { () throws(HypervisorError) in
                try self.performBlocking(try self.openMonitor(), whileFrozen)
            }
            ended(.performed)
            return times
        } catch {
            ended(.failed)
            throw error
        }
    }

    private func ended(_ phase: State.Phase) {
        let waiter = state.withLockedValue { state in
            state.phase = phase
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    private func throwIfGivenUp() throws(HypervisorError) {
        if state.withLockedValue({ $0.ending != nil }) { throw .failed("The cut of \(name) was given up.") }
    }

    private func openMonitor() throws(HypervisorError) -> MonitorSocket {
        guard let monitor else { throw .failed("The cut of \(name) has ended.") }
        return monitor
    }

    private func performBlocking(
        _ monitor: MonitorSocket, _ whileFrozen: () throws -> Void
    ) throws(HypervisorError) -> CutTimes {
        if monitor.isClosed { throw .notRunning("\(name) has ended; the cut was not made.", state: "off") }
        guard try monitor.runState() == "running" else {
            throw .notRunning("\(name) does not run any more; the cut was not made.", state: "paused")
        }
        if stream?.hasFailed != false { throw .failed("The image of \(name) cannot be stored; the cut was not made.") }
        try monitor.forgetEvents()
        var steps = CutSteps()
        do throws(HypervisorError) {
            if method == .background { try monitor.beginImage(of: process) }
            try throwIfGivenUp()
            steps = CutSteps()
            try monitor.execute(Self.stop)
            steps.mark(\.stop)
            try throwIfGivenUp()
            if let transaction {
                do throws(HypervisorError) {
                    try monitor.execute(transaction)
                } catch {
                    throw .failed("Could not divert the disks of \(name): \(error)")
                }
                let frozen = journal.overlays.map {
                    FrozenDisk(target: $0.target, path: $0.original, format: $0.originalFormat)
                }
                state.withLockedValue { $0.frozenDisks = frozen }
            }
            steps.mark(\.disks)
            do {
                try whileFrozen()
            } catch {
                throw .failed("The cut of \(name) was given up while it was frozen: \(error)")
            }
            try throwIfGivenUp()
            steps.mark(\.frozen)
            switch method {
            case .background:
                guard let stream else { throw .failed("The cut of \(name) has ended.") }
                try monitor.writeImage(into: stream)
                try awaitRunning(monitor)
            case .paused:
                try monitor.execute(ImageDescriptor.migrate)
                stream?.fullSpeed()
                try awaitImage(monitor)
                try monitor.execute(#"{"execute":"cont"}"#)
            }
            steps.mark(\.image)
        } catch {
            stream?.cancel()
            letRun()
            throw error
        }
        let endedAt = WallClock.now()
        logger.debug("cut made", metadata: ["vm": "\(name)", "steps": "\(steps)"])
        return CutTimes(
            startedAt: steps.startedAt, endedAt: endedAt, pause: try pause(monitor, steps.startedAt, endedAt))
    }

    /// The pause by QEMU's own timestamps; by our clock if an event was lost.
    private func pause(
        _ monitor: MonitorSocket, _ startedAt: UInt64, _ endedAt: UInt64
    ) throws(HypervisorError) -> UInt64 {
        let stopped = try monitor.event(by: 0) { $0.name == "STOP" }
        let resumed = try monitor.event(by: WallClock.monotonic() + 50_000_000) { $0.name == "RESUME" }
        // The host's clock may have been set back meanwhile; the verdict sees that by the two times.
        let span = endedAt >= startedAt ? endedAt - startedAt : 0
        guard let stopped, let resumed, resumed.time >= stopped.time else { return span }
        return min(max(resumed.time - stopped.time, 1), max(span, 1))
    }

    /// Waits until the guest runs again. QEMU 7.2 lets it run by itself once the capture has begun; one that gives a guest
    /// the state back that it had before leaves that to us, which is seen by pages that are written while it still stands.
    private func awaitRunning(_ monitor: MonitorSocket) throws(HypervisorError) {
        let end = WallClock.monotonic() + 10_000_000_000
        while WallClock.monotonic() < end {
            try throwIfGivenUp()
            let slice = WallClock.monotonic() + 10_000_000
            // Left in the backlog for its time.
            if try monitor.sees(by: slice, where: { $0.name == "RESUME" }) { return }
            if monitor.isClosed { throw .notRunning("\(name) has ended while it was cut.", state: "off") }
            let image = try ImageProgress(monitor)
            switch image.status {
            case "failed", "cancelled", "cancelling":
                throw .failed("QEMU could not start the image of \(name): \(image.error ?? "no reason").")
            case "active", "completed":
                guard image.pages > 0 || image.status == "completed" else { continue }
                switch try monitor.runState() {
                case "running": return
                case "paused", "postmigrate": try monitor.execute(#"{"execute":"cont"}"#)
                default: continue
                }
            default: continue
            }
        }
        throw .failed("\(name) did not run again after its image was started; it was resumed by hand.")
    }

    private func awaitImage(_ monitor: MonitorSocket) throws(HypervisorError) {
        while true {
            try throwIfGivenUp()
            if stream?.hasFailed != false { throw .failed("The image of \(name) could not be stored.") }
            let (status, error) = try monitor.migration()
            switch status {
            case "completed": return
            case "failed", "cancelled", "none": throw .failed("The image of \(name) failed: \(error ?? status).")
            default: usleep(5_000)
            }
        }
    }

    // MARK: The image

    func imageComplete() async throws(HypervisorError) {
        guard state.withLockedValue({ $0.phase == .performed }), let stream else {
            throw .failed("There is no image of \(name): the cut was not made.")
        }
        stream.fullSpeed()
        let watch = Task { try await self.watchWrites() }
        defer { watch.cancel() }
        let bytes: UInt64
        do throws(HypervisorError) {
            bytes = try await stream.bytesAtEnd()
        } catch {
            throw state.withLockedValue(\.cannotWrite) ? cannotWrite : error
        }
        let (status, error, standsStill) = try await driver.thread.run { () throws(HypervisorError) in
            // The socket ends a moment before QEMU says that it has completed.
            let monitor = try self.openMonitor()
            var migration = (status: "active", error: nil as String?)
            for _ in 0..<400 {
                if try monitor.imageIsSettled() {
                    migration = try monitor.migration()
                    break
                }
                usleep(5_000)
            }
            return (migration.status, migration.error, try monitor.hasIOError())
        }
        guard status == "completed", bytes > 0 else {
            throw .failed("The image is not whole: QEMU says \(status)\(error.map { ", \($0)" } ?? "").")
        }
        // Also when its own image was quicker than the watch: those of others may take long.
        if standsStill { throw cannotWrite }
    }

    private var cannotWrite: HypervisorError {
        .noSpace("\(name) could not write into its overlay in \(workspace) and stood still. Give the folder more room.")
    }

    /// A guest whose overlay cannot grow is stopped by QEMU. It must not stand still for as long as an image takes: the
    /// image is given up, and with it the epoch, whose end wakes the guest.
    private func watchWrites() async throws {
        while true {
            try await Task.sleep(for: .milliseconds(250))
            let runState = try? await driver.thread.run { () throws(HypervisorError) in
                try self.openMonitor().runState()
            }
            guard runState == "io-error" else { continue }
            state.withLockedValue { $0.cannotWrite = true }
            stream?.cancel()
            return
        }
    }

    // MARK: The end

    func finish() async { await end(givingUp: stream?.isComplete != true) }

    func abandon() async { await end(givingUp: true) }

    func settled() async {
        let ending = state.withLockedValue(\.ending)
        await ending?.value
    }

    private func end(givingUp: Bool) async {
        let waking = state.withLockedValue { state in
            if let waking = state.waking { return waking }
            // Tasks of their own: a caller that is cancelled must not end them halfway.
            let waking = Task { await self.wake(givingUp: givingUp) }
            state.waking = waking
            state.ending = Task { await self.giveDisksBack(imageIsSettled: await waking.value) }
            return waking
        }
        _ = await waking.value
    }

    /// Lets the guest run and takes back what the preparation has set in QEMU. Gives back whether no image is being
    /// written any more.
    private func wake(givingUp: Bool) async -> Bool {
        if givingUp { stream?.cancel() }
        await cutMadeOrFailed()
        let settled = try? await driver.thread.run { () throws(HypervisorError) in
            guard givingUp else { return true }
            return self.letRun()
        }
        if settled == true {
            stream?.close()
            await stream?.idle()
        }
        return settled ?? false
    }

    private func giveDisksBack(imageIsSettled: Bool) async {
        do throws(HypervisorError) {
            try await driver.putRight(journal, in: workspace, imageIsSettled: imageIsSettled)
        } catch {
            // The journal stays: recovery tries again when the agent starts and before the next cut.
            logger.error("disks of a VM still diverted", metadata: ["vm": "\(name)", "error": "\(error)"])
        }
        driver.cuts.withLockedValue { if $0[uuid] === self { $0[uuid] = nil } }
        state.withLockedValue { state in
            state.monitor = nil
            // While QEMU still writes, its reader must stay.
            if imageIsSettled { state.stream = nil }
        }
    }

    /// Nil once the guest's process has ended.
    @discardableResult
    private func letRun() -> Bool {
        GuestWaking(name, logger: logger).letRun(cancels: method != .background) { (cancels) throws(HypervisorError) in
            try monitorIfRunning()?.wake(&cancels) ?? .gone
        }
    }

    private func monitorIfRunning() throws(HypervisorError) -> MonitorSocket? {
        if let monitor, !monitor.isClosed { return monitor }
        return try driver.monitor(uuid)?.0
    }

    /// Waits while the cut is being made, which ends soon: its own steps see that it was given up. Otherwise the
    /// disks could be diverted after they were put right.
    private func cutMadeOrFailed() async {
        await withCheckedContinuation { continuation in
            let waits = state.withLockedValue { state in
                if state.phase == .performing { state.waiter = continuation }
                return state.phase == .performing
            }
            if !waits { continuation.resume() }
        }
    }
}
