import Foundation
import Hypervisor
import SnapshotProtocol
import WireProtocol

/// Where overlays and images are put.
extension DesktopExamination {
    func spaceFindings(for running: [VirtualMachine]) async -> [Finding] {
        let needs = SpaceNeeds(of: running, configuration: configuration)
        let findings = try? await BlockingWork.run { [storage(needs), repository(needs)].flatMap { $0 } }
        return findings ?? []
    }

    private func storage(_ needs: SpaceNeeds) -> [Finding] {
        let folder = configuration.workspace
        do {
            let (room, shortage) = try needs.storageShortage()
            // Permission bits do not tell: root passes every check of them, and a read-only mount is not among them.
            let probe = "\(folder)/.doctor-\(UInt32.random(in: 0 ... .max))"
            defer { unlink(probe) }
            guard FileManager.default.createFile(atPath: probe, contents: Data([0])) else { return [closed(folder)] }
            let writable = Finding(.storage, desktop, ok: "The storage folder \(folder) can be written.")
            if let shortage { return [writable, Finding(.storageSpace, desktop, blocker: shortage)] }
            return [writable, Finding(.storageSpace, desktop, ok: "\(folder) has \(room >> 20) MiB free.")]
        } catch {
            return [closed(folder)]
        }
    }

    private func closed(_ folder: String) -> Finding {
        Finding(
            .storage, desktop, .blocker, "The storage folder \(folder) cannot be written.",
            remedy:
                "Mount its file system, give the agent rights and room there, or set another `storage` in agent.yaml.")
    }

    private func repository(_ needs: SpaceNeeds) -> [Finding] {
        do {
            let (room, shortage) = try needs.repositoryShortage()
            let path = configuration.repository
            let writable = Finding(.repository, desktop, ok: "The repository \(path) is there and can be written.")
            if let shortage { return [writable, Finding(.repositorySpace, desktop, blocker: shortage)] }
            return [writable, Finding(.repositorySpace, desktop, ok: "\(path) has \(room >> 20) MiB free.")]
        } catch {
            let failure = failure(of: error, member: nil)
            return [Finding(failure.code == .noSpace ? .repositorySpace : .repository, desktop, blocker: failure)]
        }
    }
}
