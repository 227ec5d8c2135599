import Glibc
import Hypervisor
import Logging

/// Takes back what a cut has made: its snapshot, which merges the disks, the copies, and at last the journal.
struct SnapshotRemoval: Sendable {
    let machines: VirtualBoxMachines
    let workspace: String

    func remove(_ journal: VirtualBoxJournal) async throws(HypervisorError) {
        // Of no other snapshot than the one whose name this journal was given at its birth.
        precondition(journal.snapshot.hasPrefix(VirtualBoxJournal.prefix))
        do throws(ManageFailure) {
            try await removeSnapshot(journal)
        } catch {
            guard error.kind == .unknownMachine else {
                throw error.error(doing: "delete the snapshot \(journal.snapshot) of the VM \(journal.uuid)")
            }
        }
        for copy in journal.copies {
            _ = try? await machines.manage.run(["closemedium", "disk", copy], within: machines.patience.look)
            unlink(copy)
        }
        journal.remove(from: workspace)
    }

    private func removeSnapshot(_ journal: VirtualBoxJournal) async throws(ManageFailure) {
        // Once more if the first time was a lie, or was cut off.
        var last: ManageFailure?
        for attempt in 0..<3 {
            guard let snapshot = try await machines.snapshot(named: journal.snapshot, of: journal.uuid) else { return }
            do throws(ManageFailure) {
                try await machines.deleteSnapshot(snapshot, of: journal.uuid)
                last = nil
            } catch {
                if error.kind == .unknownMachine { return }
                last = error
                machines.logger.warning(
                    "snapshot of a cut not deleted", metadata: ["vm": "\(journal.uuid)", "error": "\(error)"])
            }
            if attempt > 0 { await HostCommand.rest(.milliseconds(500)) }
        }
        guard try await machines.snapshot(named: journal.snapshot, of: journal.uuid) != nil else { return }
        throw last
            ?? ManageFailure(kind: .other, text: "VirtualBox says that it deleted the snapshot, and has it still")
    }
}
