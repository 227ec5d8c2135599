import CLibvirt
import Glibc
import Hypervisor
import Logging

/// Gives a VM its own disk files back after a cut: what was written into the overlays goes into the files below
/// them, and the overlays disappear. Works on a running VM and on one that is off; may be repeated at any time.
struct DiskMerge {
    let connection: LibvirtConnection
    let logger: Logger

    func restore(_ journal: CutJournal, in workspace: String) async throws(HypervisorError) {
        for _ in 0..<Self.retries {
            do throws(HypervisorError) {
                return try await restoreOnce(journal, in: workspace)
            } catch {
                // A VM that dies meanwhile is merged another way, once libvirt has noticed.
                logger.warning("disks not yet merged", metadata: ["vm": "\(journal.uuid)", "error": "\(error)"])
                try? await Task.sleep(for: .milliseconds(500))
            }
        }
        try await restoreOnce(journal, in: workspace)
    }

    private static let retries = 3

    private func restoreOnce(_ journal: CutJournal, in workspace: String) async throws(HypervisorError) {
        let off: [CutJournal.Overlay] = try await connection.run { handle throws(HypervisorError) in
            let domain: LibvirtDomain
            do throws(HypervisorError) {
                domain = try LibvirtDomain(uuid: journal.uuid, on: handle)
            } catch {
                // A VM that libvirt no longer knows writes nothing any more; its overlay is merged as a file.
                guard case .unknownMachine = error else { throw error }
                return journal.overlays
            }
            return try Self.mergeLive(journal, on: domain)
        }
        for overlay in off { try await mergeOffline(overlay, uuid: journal.uuid) }
        for overlay in journal.overlays { unlink(overlay.overlay) }
        for copy in journal.copies ?? [] { unlink(copy) }
        journal.remove(from: workspace)
    }

    /// Merges what a live VM has diverted. Gives back the overlays that must be merged without a running VM.
    private static func mergeLive(
        _ journal: CutJournal, on domain: borrowing LibvirtDomain
    ) throws(HypervisorError) -> [CutJournal.Overlay] {
        let description = try DomainDescription(domain.xml(VIR_DOMAIN_XML_SECURE))
        let diverted = journal.overlays.filter { overlay in
            description.disks.contains { $0.target == overlay.target && $0.path == overlay.overlay }
        }
        // Not by the state: a VM that sleeps or has crashed may still have its process, which holds the files.
        guard try domain.isActive() else { return diverted }
        for overlay in diverted { try commit(overlay, on: domain) }
        try StrayNodes.remove(of: journal.overlays, on: domain)
        return []
    }

    private static func commit(
        _ overlay: CutJournal.Overlay, on domain: borrowing LibvirtDomain
    ) throws(HypervisorError) {
        let flags = VIR_DOMAIN_BLOCK_COMMIT_ACTIVE.rawValue | VIR_DOMAIN_BLOCK_COMMIT_SHALLOW.rawValue
        // A job of an agent that died may still be there; then it is taken over.
        var info = virDomainBlockJobInfo()
        if virDomainGetBlockJobInfo(domain.pointer, overlay.target, &info, 0) == 0 {
            guard virDomainBlockCommit(domain.pointer, overlay.target, nil, nil, 0, flags) == 0 else {
                throw LibvirtFailure.last().error(doing: "merge disk \(overlay.target) of \(domain.name)")
            }
        }
        for _ in 0..<720_000 {
            let found = virDomainGetBlockJobInfo(domain.pointer, overlay.target, &info, 0)
            guard found >= 0 else {
                throw LibvirtFailure.last().error(doing: "follow the merge of disk \(overlay.target)")
            }
            if found == 0 {
                throw .failed("The merge of disk \(overlay.target) of \(domain.name) ended before its time.")
            }
            if info.end > 0 && info.cur == info.end {
                let pivot = VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT.rawValue
                if virDomainBlockJobAbort(domain.pointer, overlay.target, pivot) == 0 { return }
                // Not ready after all: libvirt counts a mirror as complete a moment before QEMU does.
            }
            usleep(5_000)
        }
        throw .failed("The merge of disk \(overlay.target) of \(domain.name) took more than an hour.")
    }

    private func mergeOffline(_ overlay: CutJournal.Overlay, uuid: String) async throws(HypervisorError) {
        guard access(overlay.overlay, F_OK) == 0 else { return }
        try await ImageTool.commit(overlay.overlay)
        try await connection.run { handle throws(HypervisorError) in
            guard let domain = try? LibvirtDomain(uuid: uuid, on: handle) else { return }
            let text = try domain.xml(VIR_DOMAIN_XML_SECURE, VIR_DOMAIN_XML_INACTIVE)
            let description = try DomainDescription(text)
            guard description.disks.contains(where: { $0.path == overlay.overlay }) else { return }
            try description.replaceDisks([overlay.target: overlay.original], format: overlay.originalFormat)
            guard let defined = virDomainDefineXML(handle.pointer, description.xml) else {
                throw LibvirtFailure.last().error(doing: "give \(uuid) its disk back")
            }
            virDomainFree(defined)
        }
    }
}
