import CLibvirt
import Glibc
import Hypervisor
import Logging
import NIOConcurrencyHelpers

/// One cut of one libvirt domain: pause, divert the disks into overlays, start the image, run again.
final class LibvirtCut: PreparedCut {
    private struct State: Sendable {
        var performed = false
        var diverted = false
        var ended = false
        var frozenDisks: [FrozenDisk] = []
        var capabilitySet: Bool
    }

    let method: CutMethod
    private let uuid: String
    private let workspace: String
    private let connection: LibvirtConnection
    private let journal: CutJournal
    private let otherDisks: [String]
    private let stream: ImageStream
    private let descriptorName: String
    private let logger: Logger
    private let state: NIOLockedValueBox<State>

    init(
        uuid: String, method: CutMethod, workspace: String, connection: LibvirtConnection, journal: CutJournal,
        otherDisks: [String], stream: ImageStream, descriptorName: String, logger: Logger
    ) {
        self.uuid = uuid
        self.method = method
        self.workspace = workspace
        self.connection = connection
        self.journal = journal
        self.otherDisks = otherDisks
        self.stream = stream
        self.descriptorName = descriptorName
        self.logger = logger
        state = NIOLockedValueBox(State(capabilitySet: method == .background))
    }

    var frozenDisks: [FrozenDisk] { state.withLockedValue(\.frozenDisks) }

    // MARK: The cut

    func perform(whileFrozen: @escaping @Sendable () throws -> Void) async throws(HypervisorError) -> CutTimes {
        try await connection.run { handle throws(HypervisorError) in
            let domain = try LibvirtDomain(uuid: self.uuid, on: handle)
            return try self.perform(on: domain, whileFrozen: whileFrozen)
        }
    }

    private func perform(
        on domain: borrowing LibvirtDomain, whileFrozen: () throws -> Void
    ) throws(HypervisorError) -> CutTimes {
        guard try domain.state() == .running else {
            throw .notRunning("\(domain.name) does not run any more; the cut was not made.", state: "not running")
        }
        let events = try MonitorEvents(of: domain)
        defer { events.cancel() }
        let startedAt = WallClock.now()
        do throws(HypervisorError) {
            // QEMU's own command rather than virDomainSuspend: a third of its time, and libvirt follows by the event.
            try domain.monitor(#"{"execute":"stop"}"#)
            try divertDisks(of: domain)
            do {
                try whileFrozen()
            } catch {
                throw .failed("The cut of \(domain.name) was given up while it was frozen: \(error)")
            }
            try domain.monitor(#"{"execute":"migrate","arguments":{"uri":"fd:\#(descriptorName)"}}"#)
            switch method {
            case .background: try awaitRunning(domain)
            case .paused:
                stream.fullSpeed()
                try awaitImage(of: domain)
                try domain.monitor(#"{"execute":"cont"}"#)
            }
        } catch {
            letRun(domain)
            throw error
        }
        let endedAt = WallClock.now()
        state.withLockedValue { $0.performed = true }
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
        return endedAt - startedAt
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
            let hint =
                failure.message.contains("Permission denied")
                ? " AppArmor or file permissions may deny the overlay folder to QEMU: look into the kernel's log." : ""
            throw .failed("Could not divert the disks of \(domain.name): \(failure.message).\(hint)")
        }
        virDomainSnapshotFree(snapshot)
        let frozen = journal.overlays.map {
            FrozenDisk(target: $0.target, path: $0.original, format: $0.originalFormat)
        }
        state.withLockedValue { state in
            state.diverted = true
            state.frozenDisks = frozen
        }
    }

    /// QEMU lets the guest run by itself once the capture has begun; waits for that.
    private func awaitRunning(_ domain: borrowing LibvirtDomain) throws(HypervisorError) {
        for attempt in 0..<1_000 {
            let answer = try domain.monitor(#"{"execute":"query-status"}"#)
            if MonitorAnswer.runState(in: answer) == "running" { return }
            let migration = MonitorAnswer.migration(in: try domain.monitor(#"{"execute":"query-migrate"}"#))
            if migration.status == "failed" || migration.status == "cancelled" {
                throw .failed("QEMU could not start the image of \(domain.name): \(migration.error ?? "no reason").")
            }
            usleep(attempt < 20 ? 500 : 5_000)
        }
        throw .failed("\(domain.name) did not run again after its image was started; it was resumed by hand.")
    }

    private func awaitImage(of domain: borrowing LibvirtDomain) throws(HypervisorError) {
        while true {
            let migration = MonitorAnswer.migration(in: try domain.monitor(#"{"execute":"query-migrate"}"#))
            switch migration.status {
            case "completed": return
            case "failed", "cancelled", "none":
                throw .failed("The image of \(domain.name) failed: \(migration.error ?? migration.status).")
            default: usleep(5_000)
            }
        }
    }

    /// The guest runs, whatever it takes; a guest whose process is gone cannot, and that is all that is accepted.
    private func letRun(_ domain: borrowing LibvirtDomain) {
        _ = try? domain.monitor(#"{"execute":"migrate_cancel"}"#)
        for _ in 0..<100 {
            guard let state = try? domain.state(), state == .paused || state == .running else { return }
            if state == .running,
                let answer = try? domain.monitor(#"{"execute":"query-status"}"#),
                MonitorAnswer.runState(in: answer) == "running"
            {
                return
            }
            _ = try? domain.monitor(#"{"execute":"cont"}"#)
            usleep(20_000)
        }
        logger.critical("VM could not be resumed", metadata: ["vm": "\(uuid)"])
    }

    func hurry() { stream.fullSpeed() }

    func imageComplete() async throws(HypervisorError) {
        stream.fullSpeed()
        let bytes = try await stream.bytesAtEnd()
        let (status, error) = try await connection.run { handle throws(HypervisorError) in
            let domain = try LibvirtDomain(uuid: self.uuid, on: handle)
            // The socket ends a moment before QEMU says that it has completed.
            for _ in 0..<400 {
                let migration = MonitorAnswer.migration(in: try domain.monitor(#"{"execute":"query-migrate"}"#))
                if migration.status != "active" && migration.status != "setup" { return migration }
                usleep(5_000)
            }
            return (status: "active", error: nil)
        }
        guard status == "completed", bytes > 0 else {
            throw .failed("The image is not whole: QEMU says \(status)\(error.map { ", \($0)" } ?? "").")
        }
    }

    // MARK: The end

    func finish() async { await end(cancellingImage: false) }

    func abandon() async {
        stream.cancel()
        await end(cancellingImage: true)
    }

    private func end(cancellingImage: Bool) async {
        let first = state.withLockedValue { state in
            defer { state.ended = true }
            return !state.ended
        }
        guard first else { return }
        do {
            try await connection.run { handle throws(HypervisorError) in
                let domain = try LibvirtDomain(uuid: self.uuid, on: handle)
                let state = try domain.state()
                guard state == .running || state == .paused else { return }
                if cancellingImage { self.letRun(domain) }
                self.forgetImage(of: domain)
            }
            try await DiskMerge(connection: connection, logger: logger).restore(journal, in: workspace)
        } catch {
            // The journal stays: recovery tries again when the agent starts and before the next cut.
            logger.error("disks of a VM still diverted", metadata: ["vm": "\(uuid)", "error": "\(error)"])
        }
    }

    /// Takes back what preparation has set in QEMU.
    private func forgetImage(of domain: borrowing LibvirtDomain) {
        _ = try? domain.monitor(#"{"execute":"closefd","arguments":{"fdname":"\#(descriptorName)"}}"#)
        if state.withLockedValue(\.capabilitySet) { Self.setBackground(false, on: domain) }
    }

    @discardableResult
    static func setBackground(_ on: Bool, on domain: borrowing LibvirtDomain) -> HypervisorError? {
        let command = """
            {"execute":"migrate-set-capabilities","arguments":{"capabilities":[\
            {"capability":"background-snapshot","state":\(on)}]}}
            """
        // A capability cannot be changed while an image is still ending; that takes milliseconds.
        var last: HypervisorError?
        for _ in 0..<50 {
            do throws(HypervisorError) {
                try domain.monitor(command)
                return nil
            } catch {
                last = error
                guard case .failed(let text) = error, text.contains("migration") else { return error }
                usleep(10_000)
            }
        }
        return last
    }
}
