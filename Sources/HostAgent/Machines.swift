import FoundationEssentials
import Glibc
import Hypervisor
import SnapshotProtocol
import WireProtocol

/// What this desktop has, as the manager sees it, and what stands in the way of a snapshot.
enum Machines {
    static func summary(of machine: VirtualMachine, hypervisor: String) -> MachineSummary {
        MachineSummary(
            uuid: machine.uuid, name: machine.name, state: machine.state.rawValue, memory: machine.memory,
            nics: machine.nics.map { MemberNIC(mac: $0.mac) }, diskBytes: diskBytes(of: machine),
            hypervisor: hypervisor, requirements: machine.requirements, blockers: blockers(of: machine))
    }

    /// Bytes that the disks' files take up now.
    static func diskBytes(of machine: VirtualMachine) -> UInt64 {
        machine.disks.reduce(0) { sum, disk in
            var status = stat()
            guard let path = disk.path, stat(path, &status) == 0 else { return sum }
            return sum + UInt64(status.st_blocks) * 512
        }
    }

    static func blockers(of machine: VirtualMachine) -> [Failure] {
        let member = MemberName(machine.name)
        var blockers: [Failure] = []
        if machine.state != .running {
            let text =
                machine.obstacle
                ?? "The VM is \(machine.state.rawValue). Start or resume it, then take the snapshot again."
            let isHidden = machine.obstacle != nil && machine.state == .other
            return [Failure(isHidden ? .hypervisorUnavailable : .machineNotRunning, member: member, text)]
        }
        blockers += machine.nics.compactMap { blocker(of: $0, member: member) }
        blockers += machine.disks.compactMap { blocker(of: $0, member: member) }
        return blockers
    }

    static func blocker(of nic: VirtualMachine.NIC, member: MemberName) -> Failure? {
        guard nic.tap == nil || nic.bridge == nil else { return nil }
        let text =
            "The NIC \(nic.mac) (\(nic.kind)) is not on a tap of a Linux bridge, so its traffic cannot be held."
        return Failure(.interfaceWithoutTap, member: member, nic.wayOut.isEmpty ? text : "\(text) \(nic.wayOut)")
    }

    static func blocker(of disk: VirtualMachine.Disk, member: MemberName) -> Failure? {
        guard disk.path == nil else { return nil }
        let text = "Disk \(disk.target) is not a file. Only file-backed disks can be cut: copy it into one."
        return Failure(.unsupported, member: member, text)
    }
}

extension HypervisorError {
    /// The same in the product's terms.
    func failure(of member: MemberName?) -> Failure {
        switch self {
        case .unknownMachine(let text): Failure(.unknownMachine, member: member, text)
        case .notRunning(let text, _): Failure(.machineNotRunning, member: member, text)
        case .unavailable(let text): Failure(.hypervisorUnavailable, member: member, text)
        case .noRights(let text): Failure(.noRights, member: member, text)
        case .unsupported(let text): Failure(.unsupported, member: member, text)
        case .noSpace(let text): Failure(.noSpace, member: member, text)
        case .cannotLoad(let text): Failure(.incompatibleHost, member: member, text)
        case .failed(let text): Failure(.aborted, member: member, text)
        }
    }
}
