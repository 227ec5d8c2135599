import CLibvirt
import Glibc
import Hypervisor
import Logging
import NIOConcurrencyHelpers

/// One cut of one libvirt domain: pause, divert the disks into overlays, start the image, run again.
final class LibvirtCut: PreparedCut {
    struct State: Sendable {
        enum Phase: Sendable {
            case prepared
            case performing
            case performed
            case failed
        }

        var phase = Phase.prepared
        var frozenDisks: [FrozenDisk] = []
        var frozenFiles: [FrozenFile] = []
        /// Whether the guest was seen to stand still because its overlay could not grow.
        var cannotWrite = false
        /// What ends the cut; both ends share it, and whoever comes second waits for the first.
        var ending: Task<Void, Never>?
        /// What gives the VM its own disks back, after the ending.
        var merge: Task<Void, Never>?
        /// The ending, while it waits for a cut that is just being made.
        var waiter: CheckedContinuation<Void, Never>?
    }

    /// One name for all cuts: QEMU puts a new descriptor in the place of one that a killed agent left.

    let method: CutMethod
    let uuid: String
    let workspace: String
    let connection: LibvirtConnection
    let journal: CutJournal
    /// The file of the firmware's variables, and where it is copied at the cut.
    private let firmware: (original: String, copy: String)?
    private let otherDisks: [String]
    let stream: ImageStream
    private let process: GuestProcess?
    let merges: PendingMerges
    let logger: Logger
    let state = NIOLockedValueBox(State())

    init(
        uuid: String, method: CutMethod, workspace: String, connection: LibvirtConnection, journal: CutJournal,
        variables: (original: String, copy: String)?, otherDisks: [String], stream: ImageStream,
        process: GuestProcess?, merges: PendingMerges, logger: Logger
    ) {
        self.uuid = uuid
        self.method = method
        self.workspace = workspace
        self.connection = connection
        self.journal = journal
        firmware = variables
        self.otherDisks = otherDisks
        self.stream = stream
        self.process = process
        self.merges = merges
        self.logger = logger
    }

    var frozenDisks: [FrozenDisk] { state.withLockedValue(\.frozenDisks) }

    var frozenFiles: [FrozenFile] { state.withLockedValue(\.frozenFiles) }

    /// What the firmware's variables are called in a snapshot.
    static let variables = "nvram"

    // MARK: The cut

    func perform(whileFrozen: @escaping @Sendable () throws -> Void) async throws(HypervisorError) -> CutTimes {
        let begins = state.withLockedValue { state in
            guard state.phase == .prepared, state.ending == nil else { return false }
            state.phase = .performing
            return true
        }
        guard begins else { throw .failed("The cut of \(uuid) was made or given up before.") }
        do throws(HypervisorError) {
            let times = try await connection.run { handle throws(HypervisorError) in
                let domain = try LibvirtDomain(uuid: self.uuid, on: handle)
                return try self.perform(on: domain, whileFrozen: whileFrozen)
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

    var isGivenUp: Bool { state.withLockedValue { $0.ending != nil } }

    private func throwIfGivenUp() throws(HypervisorError) {
        if isGivenUp { throw .failed("The cut of \(uuid) was given up.") }
    }

    private func perform(
        on domain: borrowing LibvirtDomain, whileFrozen: () throws -> Void
    ) throws(HypervisorError) -> CutTimes {
        guard try domain.state() == .running else {
            throw .notRunning("\(domain.name) does not run any more; the cut was not made.", state: "not running")
        }
        if stream.hasFailed { throw .failed("The image of \(domain.name) cannot be stored; the cut was not made.") }
        let events = try MonitorEvents(of: domain)
        defer { events.cancel() }
        var startedAt = WallClock.now()
        do throws(HypervisorError) {
            if method == .background { try domain.beginImage(of: process) }
            try throwIfGivenUp()
            startedAt = WallClock.now()
            // QEMU's own command rather than virDomainSuspend: a third of its time, and libvirt follows by the event.
            try domain.execute(#"{"execute":"stop"}"#)
            try throwIfGivenUp()
            try divertDisks(of: domain)
            try copyVariables(of: domain)
            do {
                try whileFrozen()
            } catch {
                throw .failed("The cut of \(domain.name) was given up while it was frozen: \(error)")
            }
            try throwIfGivenUp()
            switch method {
            case .background:
                try domain.writeImage(into: stream)
                try awaitRunning(domain, events)
            case .paused:
                try domain.execute(ImageDescriptor.migrate)
                stream.fullSpeed()
                try awaitImage(of: domain)
                try domain.execute(#"{"execute":"cont"}"#)
            }
        } catch {
            stream.cancel()
            waking.letRun(cancels: method != .background)
            throw error
        }
        let endedAt = WallClock.now()
        return CutTimes(startedAt: startedAt, endedAt: endedAt, pause: pause(events, startedAt, endedAt))
    }

    /// The pause by QEMU's own timestamps; by our clock if an event was lost.
    private func pause(_ events: MonitorEvents, _ startedAt: UInt64, _ endedAt: UInt64) -> UInt64 {
        // The events come on another thread and may be a little behind the answer that we already have.
        for _ in 0..<50 {
            let seen = events.seen
            if let stopped = seen.stopped, let resumed = seen.resumed, resumed >= stopped { return resumed - stopped }
            usleep(1_000)
        }
        // The host's clock may have been set back meanwhile; the verdict sees that by the two times.
        return endedAt >= startedAt ? endedAt - startedAt : 0
    }

    private func divertDisks(of domain: borrowing LibvirtDomain) throws(HypervisorError) {
        guard !journal.overlays.isEmpty else { return }
        var overlays: [String: String] = [:]
        for overlay in journal.overlays { overlays[overlay.target] = overlay.overlay }
        let xml = DomainDescription.diskSnapshot(overlays: overlays, others: otherDisks)
        let flags =
            VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY.rawValue | VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT.rawValue
            | VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA.rawValue | VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC.rawValue
        guard let snapshot = virDomainSnapshotCreateXML(domain.pointer, xml, flags) else {
            let failure = LibvirtFailure.last()
            throw .failed("Could not divert the disks of \(domain.name): \(failure.explained(of: uuid))")
        }
        virDomainSnapshotFree(snapshot)
        let frozen = journal.overlays.map {
            FrozenDisk(target: $0.target, path: $0.original, format: $0.originalFormat)
        }
        state.withLockedValue { $0.frozenDisks = frozen }
    }

    /// Half a MiB that QEMU writes as the guest does, and has flushed when the guest stands still.
    private func copyVariables(of domain: borrowing LibvirtDomain) throws(HypervisorError) {
        guard let firmware else { return }
        do {
            try FileCopy.copy(firmware.original, to: firmware.copy)
        } catch {
            throw .failed("The firmware variables of \(domain.name) could not be copied: \(error).")
        }
        state.withLockedValue { $0.frozenFiles = [FrozenFile(name: Self.variables, path: firmware.copy)] }
    }

    /// QEMU lets the guest run by itself once the capture has begun; waits for that.
    private func awaitRunning(
        _ domain: borrowing LibvirtDomain, _ events: MonitorEvents
    ) throws(HypervisorError) {
        for _ in 0..<100 {
            try throwIfGivenUp()
            // The event asks nothing of QEMU, which has enough to do just now; whoever lost it asks.
            if events.waitUntilResumed(milliseconds: Self.eventPatience) { return }
            let answer = try domain.execute(#"{"execute":"query-status"}"#)
            if MonitorAnswer.runState(in: answer) == "running" { return }
            let image = try domain.execute(#"{"execute":"query-migrate"}"#)
            let migration = MonitorAnswer.migration(in: image)
            if migration.status == "failed" || migration.status == "cancelled" {
                throw .failed("QEMU could not start the image of \(domain.name): \(migration.error ?? "no reason").")
            }
            // `Quirk.guestStaysPaused`. Not a moment earlier: it would run between the cut of its disks and its image.
            if migration.status == "active", MonitorAnswer.hasCapturedPages(in: image) {
                try domain.execute(#"{"execute":"cont"}"#)
            }
        }
        throw .failed("\(domain.name) did not run again after its image was started; it was resumed by hand.")
    }

    private static let eventPatience = 50

    private func awaitImage(of domain: borrowing LibvirtDomain) throws(HypervisorError) {
        while true {
            try throwIfGivenUp()
            if stream.hasFailed { throw .failed("The image of \(domain.name) could not be stored.") }
            let migration = try domain.migration()
            switch migration.status {
            case "completed": return
            case "failed", "cancelled", "none":
                throw .failed("The image of \(domain.name) failed: \(migration.error ?? migration.status).")
            default: usleep(5_000)
            }
        }
    }

    var waking: DomainWaking { DomainWaking(uuid: uuid, connection: connection, logger: logger) }

    func imageComplete() async throws(HypervisorError) {
        guard state.withLockedValue({ $0.phase == .performed }) else {
            throw .failed("There is no image of \(uuid): the cut was not made.")
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
        let (status, error, standsStill) = try await connection.run { handle throws(HypervisorError) in
            let domain = try LibvirtDomain(uuid: self.uuid, on: handle)
            // The socket ends a moment before QEMU says that it has completed.
            var migration = (status: "active", error: nil as String?)
            for _ in 0..<400 {
                migration = try domain.migration()
                if migration.status != "active" && migration.status != "setup" { break }
                usleep(5_000)
            }
            return (migration.status, migration.error, try domain.hasIOError())
        }
        guard status == "completed", bytes > 0 else {
            throw .failed("The image is not whole: QEMU says \(status)\(error.map { ", \($0)" } ?? "").")
        }
        // Also when its own image was quicker than the watch: those of others may take long.
        if standsStill { throw cannotWrite }
    }

    private var cannotWrite: HypervisorError {
        .noSpace("The VM could not write into its overlay in \(workspace) and stood still. Give the folder more room.")
    }

    /// A guest whose overlay cannot grow is stopped by QEMU. It must not stand still for as long as an image takes: the
    /// image is given up, and with it the epoch, whose end wakes the guest.
    private func watchWrites() async throws {
        while true {
            try await Task.sleep(for: .milliseconds(250))
            let stopped = try? await connection.run { [uuid] handle throws(HypervisorError) in
                try LibvirtDomain(uuid: uuid, on: handle).hasIOError()
            }
            guard stopped == true else { continue }
            state.withLockedValue { $0.cannotWrite = true }
            return stream.cancel()
        }
    }
}
