import Foundation
import Hypervisor
import SnapshotProtocol
import SnapshotStore

/// The room that the next snapshot of some VMs may need on this desktop, and whether it is there.
struct SpaceNeeds {
    /// Room that an overlay may need while its image is saved, in bytes.
    private static let overlayRoom: UInt64 = 64 << 20

    let configuration: AgentConfiguration
    private let images: UInt64
    private let overlays: UInt64

    init(of machines: [VirtualMachine], configuration: AgentConfiguration) {
        self.configuration = configuration
        let needed = machines.reduce(0) { $0 + $1.memory + Machines.diskBytes(of: $1) }
        images = needed + needed / 20
        overlays = Self.overlayRoom * UInt64(machines.reduce(0) { $0 + $1.disks.count })
    }

    /// Nil when there is enough; `room` in bytes.
    func repositoryShortage() throws -> (room: UInt64, failure: Failure?) {
        let repository = try configuration.openRepository()
        let room: UInt64
        do throws(StoreError) {
            room = try repository.freeSpace()
        } catch {
            throw error.failure
        }
        return (room, shortage("repository", repository.path, images, room))
    }

    /// Makes the folder if it is not there.
    func storageShortage() throws -> (room: UInt64, failure: Failure?) {
        let workspace = configuration.workspace
        try FileManager.default.createDirectory(atPath: workspace, withIntermediateDirectories: true)
        let attributes = try FileManager.default.attributesOfFileSystem(forPath: workspace)
        let room = (attributes[.systemFreeSize] as? NSNumber)?.uint64Value ?? 0
        return (room, shortage("storage folder", workspace, overlays, room))
    }

    private func shortage(_ what: String, _ path: String, _ needed: UInt64, _ room: UInt64) -> Failure? {
        guard room < needed else { return nil }
        let text =
            "The \(what) \(path) on \(configuration.host) has \(room >> 20) MiB free, and this snapshot may need "
            + "\(needed >> 20) MiB there. Delete old snapshots or give it more room."
        return Failure(.noSpace, text)
    }
}
