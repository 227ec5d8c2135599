import Glibc
package import Hypervisor
import Logging
import NIOConcurrencyHelpers

extension QEMUDriver {
    package func prepareCut(
        of uuid: String, workspace: String, sink: any ByteSink
    ) async throws(HypervisorError) -> any PreparedCut {
        let uuid = uuid.lowercased()
        // First, since it may change which disks the VM has.
        await cuts.withLockedValue { $0[uuid] }?.settled()
        try await recover(workspace: workspace, only: uuid)
        let guest = try await thread.run { () throws(HypervisorError) -> RunningGuest in
            guard let guest = try self.guest(uuid) else {
                guard let description = self.folder.description(of: uuid) else { throw Self.unknown(uuid) }
                throw .notRunning("\(description.name) is off. Start it first.", state: "off")
            }
            try Self.check(guest)
            return guest
        }
        let journal = try Self.journal(for: guest, in: workspace)
        try journal.write(to: workspace)
        do throws(HypervisorError) {
            for overlay in journal.overlays {
                try await ImageTool.createOverlay(
                    overlay.overlay, backing: overlay.original, format: overlay.originalFormat)
            }
            let (stream, remote) = try ImageStream.pair()
            defer { close(remote) }
            if let keeper { try await keeper.start(keeping: stream.anotherEnd()) }
            let (method, transaction) = try await thread.run { () throws(HypervisorError) in
                let transaction = try Overlays(journal).add(to: guest)
                let method = try guest.monitor.prepareImage(
                    into: remote, memoryNeedsPause: guest.description.memoryNeedsPause)
                return (method, transaction)
            }
            if method == .background { try stream.block() }
            await DiskFlush.flush(journal.overlays.map(\.original))
            stream.start(header: [], into: sink)
            let cut = QEMUCut(
                of: guest, method: method, workspace: workspace, journal: journal, transaction: transaction,
                stream: stream, driver: self)
            cuts.withLockedValue { $0[uuid] = cut }
            return cut
        } catch {
            try? await putRight(journal, in: workspace, imageIsSettled: true)
            throw error
        }
    }

    private static func check(_ guest: RunningGuest) throws(HypervisorError) {
        let machine = guest.machine
        guard machine.uuid != RunningGuest.nobody else {
            throw .unsupported("\(machine.name) has no UUID. Start it with -uuid, for instance the output of uuidgen.")
        }
        guard machine.state == .running else {
            throw .notRunning(
                "\(machine.name) is \(machine.state.rawValue), and only a running VM can be snapshotted. Resume it first.",
                state: machine.state.rawValue)
        }
        if let refusal = guest.refusals.first {
            throw .unsupported("\(machine.name) has \(refusal), which no restore could bring back. Start it without.")
        }
        if let reason = try guest.monitor.imageBlocker() {
            throw .unsupported("QEMU cannot save the state of \(machine.name): \(reason).")
        }
    }

    private static func journal(for guest: RunningGuest, in workspace: String) throws(HypervisorError) -> CutJournal {
        var overlays: [CutJournal.Overlay] = []
        for (disk, backend) in guest.disks {
            guard let backend else {
                throw .unsupported("Disk \(disk.target) of \(guest.name) is not attached. Start the VM without it.")
            }
            if backend.readOnly { continue }
            guard OptionRules.isFile(backend.file), OptionRules.formats.contains(backend.format) else {
                throw .unsupported(
                    "Disk \(disk.target) of \(guest.name) is no qcow2 or raw file. Only those can be cut.")
            }
            overlays.append(
                CutJournal.Overlay(
                    target: disk.target, original: backend.file, originalFormat: backend.format,
                    overlay: "\(workspace)/\(guest.uuid)-\(disk.target).overlay.qcow2"))
        }
        let bandwidth = MonitorAnswer.bandwidth(
            in: try guest.monitor.execute(#"{"execute":"query-migrate-parameters"}"#))
        return CutJournal(uuid: guest.uuid, overlays: overlays, bandwidth: bandwidth)
    }

    // MARK: The end, and recovery

    package func recover(workspace: String) async throws(HypervisorError) {
        try await recover(workspace: workspace, only: nil)
    }

    private func recover(workspace: String, only uuid: String?) async throws(HypervisorError) {
        var failure: HypervisorError?
        for journal in CutJournal.all(in: workspace) where uuid == nil || journal.uuid == uuid {
            logger.notice("putting right what a killed agent left", metadata: ["vm": "\(journal.uuid)"])
            do throws(HypervisorError) {
                let settled = try await thread.run { () throws(HypervisorError) in
                    GuestWaking(journal.uuid, logger: self.logger).letRun(cancels: false) {
                        (cancels) throws(HypervisorError) in
                        try self.monitor(journal.uuid)?.0.wake(&cancels) ?? .gone
                    }
                }
                try await putRight(journal, in: workspace, imageIsSettled: settled)
            } catch {
                // The others must not wait for the one that cannot be put right.
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }

    /// Gives a VM whose cut has ended its own disks back, with QEMU set as it was before.
    func putRight(
        _ journal: CutJournal, in workspace: String, imageIsSettled: Bool
    ) async throws(HypervisorError) {
        var last: HypervisorError?
        for attempt in 0..<4 {
            if attempt > 0 { try? await Task.sleep(for: .milliseconds(500)) }
            do throws(HypervisorError) {
                let runs = try await thread.run { () throws(HypervisorError) in
                    guard let (monitor, _) = try self.monitor(journal.uuid) else { return false }
                    if imageIsSettled { monitor.forgetImage(bandwidth: journal.bandwidth) }
                    try Overlays(journal).merge(on: monitor)
                    try monitor.endIOError(self.logger)
                    return true
                }
                if !runs { try await mergeOffline(journal) }
                for overlay in journal.overlays { unlink(overlay.overlay) }
                journal.remove(from: workspace)
                return
            } catch {
                // A VM that ends meanwhile is merged another way.
                logger.warning("disks not yet merged", metadata: ["vm": "\(journal.uuid)", "error": "\(error)"])
                last = error
            }
        }
        if let last { throw last }
    }

    private func mergeOffline(_ journal: CutJournal) async throws(HypervisorError) {
        for overlay in journal.overlays where access(overlay.overlay, F_OK) == 0 {
            try await ImageTool.commit(overlay.overlay)
        }
    }
}
