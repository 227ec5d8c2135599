import Glibc
import Hypervisor

/// The overlays of a cut in the QEMU that writes them.
struct Overlays: Sendable {
    private struct Addition: Encodable {
        struct File: Encodable {
            var driver = "file"
            var filename: String
        }
        var driver = "qcow2"
        var node: String
        var file: File

        enum CodingKeys: String, CodingKey {
            case driver, file, backing
            case node = "node-name"
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(driver, forKey: .driver)
            try container.encode(node, forKey: .node)
            try container.encode(file, forKey: .file)
            // What is below it comes with the cut.
            try container.encodeNil(forKey: .backing)
        }
    }

    private struct Transaction: Encodable {
        struct Action: Encodable {
            struct Pair: Encodable {
                var node: String
                var overlay: String
            }
            var type = "blockdev-snapshot"
            var data: Pair
        }
        var actions: [Action]
    }

    private struct Commit: Encodable {
        var job: String
        var device: String
        var base: String?

        enum CodingKeys: String, CodingKey {
            case device
            case job = "job-id"
            case base = "base-node"
        }
    }

    private struct Job: Decodable {
        var device: String
        var ready: Bool
        var status: String
    }

    /// Of the names of block nodes.
    static let prefix = "holdfast-"

    let journal: CutJournal

    init(_ journal: CutJournal) { self.journal = journal }

    private func node(_ overlay: CutJournal.Overlay) -> String { Self.prefix + overlay.target }

    private func job(_ overlay: CutJournal.Overlay) -> String { "holdfast-merge-\(overlay.target)" }

    /// Opens the overlays, of which the guest notices nothing. Gives back the command that diverts all disks at once.
    func add(to guest: RunningGuest) throws(HypervisorError) -> String? {
        var actions: [Transaction.Action] = []
        for overlay in journal.overlays {
            guard let backend = guest.disks.first(where: { $0.disk.target == overlay.target })?.backend else {
                continue
            }
            let addition = Addition(node: node(overlay), file: .init(filename: overlay.overlay))
            do throws(HypervisorError) {
                try guest.monitor.execute(MonitorCommand.text("blockdev-add", addition))
            } catch {
                throw .failed(
                    "QEMU of \(guest.name) cannot open \(overlay.overlay): \(error). File permissions, AppArmor or its "
                        + "-sandbox may deny it: look into the kernel's log.")
            }
            actions.append(.init(data: .init(node: backend.node, overlay: node(overlay))))
        }
        return actions.isEmpty ? nil : MonitorCommand.text("transaction", Transaction(actions: actions))
    }

    /// Puts what was diverted into the files below, and closes the overlays. May be repeated at any time.
    func merge(on monitor: MonitorSocket) throws(HypervisorError) {
        for overlay in journal.overlays { try merge(overlay, on: monitor) }
    }

    private func merge(_ overlay: CutJournal.Overlay, on monitor: MonitorSocket) throws(HypervisorError) {
        let layout = try BlockLayout(monitor)
        if let job = try find(overlay, on: monitor) {
            // Of an agent that died: taken over.
            try complete(overlay, job, on: monitor)
        } else if let top = layout.backends.first(where: { $0.file == overlay.overlay }) {
            let base =
                layout.node(ofFile: overlay.original, driver: overlay.originalFormat)
                ?? layout.node(ofFile: overlay.original, driver: "file")
            let commit = Commit(job: job(overlay), device: top.node, base: base?.name)
            try monitor.execute(MonitorCommand.text("block-commit", commit))
            try complete(overlay, nil, on: monitor)
        }
        for node in try BlockLayout(monitor).nodes where node.file == overlay.overlay && node.driver == "qcow2" {
            try monitor.execute(MonitorCommand.text("blockdev-del", ["node-name": node.name]))
        }
    }

    private func find(_ overlay: CutJournal.Overlay, on monitor: MonitorSocket) throws(HypervisorError) -> Job? {
        let jobs: [Job] = try BlockLayout.ask(monitor, #"{"execute":"query-block-jobs"}"#)
        return jobs.first { $0.device == job(overlay) }
    }

    private func complete(
        _ overlay: CutJournal.Overlay, _ known: Job?, on monitor: MonitorSocket
    ) throws(HypervisorError) {
        let job = job(overlay)
        let end = WallClock.monotonic() + Self.patience
        var asked = false
        while WallClock.monotonic() < end {
            guard let found = try find(overlay, on: monitor) else {
                let failed = try monitor.event(by: 0) {
                    $0.name == "BLOCK_JOB_COMPLETED" && $0.subject == job && $0.error != nil
                }
                if let failed {
                    throw .failed(
                        "Disk \(overlay.target) of \(monitor.machineName) was not merged: \(failed.error ?? "").")
                }
                return
            }
            if found.ready, !asked {
                try monitor.execute(MonitorCommand.text("job-complete", ["id": job]))
                asked = true
                continue
            }
            // Something of the job has changed, or a moment has passed.
            _ = try monitor.event(by: WallClock.monotonic() + 20_000_000) {
                $0.subject == job && ($0.name == "BLOCK_JOB_READY" || $0.name == "JOB_STATUS_CHANGE")
            }
        }
        throw .failed("The merge of disk \(overlay.target) of \(monitor.machineName) took more than an hour.")
    }

    private static let patience: UInt64 = 3_600_000_000_000
}
