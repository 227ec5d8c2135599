import Foundation
import Hypervisor
import SnapshotProtocol
import SnapshotStore

/// Looks, before anything is frozen, whether members can be snapshotted.
struct MemberPreflight {
    let configuration: AgentConfiguration
    let hypervisor: any HypervisorDriver

    /// Room that an overlay may need while its image is saved, in bytes.
    private static let overlayRoom: UInt64 = 64 << 20

    func check(_ members: [PlannedMember]) async throws -> [MemberName: VirtualMachine] {
        var machines: [MemberName: VirtualMachine] = [:]
        var failures: [Failure] = []
        for member in members {
            do {
                let machine = try await hypervisor.machine(member.machine)
                machines[member.name] = machine
                failures += blockers(of: machine, planned: member)
            } catch {
                failures.append(failure(of: error, member: member.name))
            }
        }
        if failures.isEmpty { failures += await spaceShortage(for: Array(machines.values)) }
        guard failures.isEmpty else { throw Refusals(failures: failures) }
        return machines
    }

    private func blockers(of machine: VirtualMachine, planned member: PlannedMember) -> [Failure] {
        guard configuration.allows(machine.name) else {
            let text =
                "\(configuration.host) does not allow this VM. Add it to `allow` in the agent's configuration there."
            return [Failure(.noRights, member: member.name, text)]
        }
        var blockers = Machines.blockers(of: machine)
        if Set(machine.nics.map(\.mac)) != Set(member.nics.map(\.mac)) {
            let text = "Its NICs changed since the plan was made. Take the snapshot again."
            blockers.append(Failure(.aborted, member: member.name, text))
        }
        return blockers
    }

    private func spaceShortage(for machines: [VirtualMachine]) async -> [Failure] {
        do {
            let needed = machines.reduce(0) { $0 + $1.memory + Machines.diskBytes(of: $1) }
            let repository = try configuration.openRepository()
            let free = try await BlockingWork.run { try repository.freeSpace() }
            var failures: [Failure] = []
            if free < needed + needed / 20 {
                failures.append(Failure(.noSpace, message("repository", repository.path, needed + needed / 20, free)))
            }
            let workspace = configuration.workspace
            try FileManager.default.createDirectory(atPath: workspace, withIntermediateDirectories: true)
            let attributes = try FileManager.default.attributesOfFileSystem(forPath: workspace)
            let room = (attributes[.systemFreeSize] as? NSNumber)?.uint64Value ?? 0
            let overlays = Self.overlayRoom * UInt64(machines.reduce(0) { $0 + $1.disks.count })
            if room < overlays {
                failures.append(Failure(.noSpace, message("storage folder", workspace, overlays, room)))
            }
            return failures
        } catch {
            return [failure(of: error, member: nil)]
        }
    }

    private func message(_ what: String, _ path: String, _ needed: UInt64, _ free: UInt64) -> String {
        "The \(what) \(path) on \(configuration.host) has \(free >> 20) MiB free, and this snapshot may need "
            + "\(needed >> 20) MiB there. Delete old snapshots or give it more room."
    }
}
