package import SnapshotProtocol
package import WireProtocol

/// Finds the members of a cluster on the hosts, and what keeps them from being snapshotted. Pure.
package enum MemberResolution {
    /// In the order of `members`; or every reason why not.
    package static func resolve(
        _ members: [ClusterSummary.Member], in inventory: Inventory
    ) throws(ManagerError) -> [PlannedMember] {
        var resolved: [PlannedMember] = []
        var failures: [Failure] = []
        for member in members {
            switch resolve(member, in: inventory) {
            case .success(let planned): resolved.append(planned)
            case .failure(let error): failures.append(contentsOf: error.failures)
            }
        }
        guard failures.isEmpty else { throw ManagerError(failures) }
        return resolved
    }

    /// Fails when one of `members` is a VM that no host knows.
    package static func checkKnown(_ members: [MemberName], in inventory: Inventory) throws(ManagerError) {
        let failures = members.filter { inventory.machines(named: $0).isEmpty }
            .map { absence(of: ClusterSummary.Member(name: $0), in: inventory) }
        guard failures.isEmpty else { throw ManagerError(failures) }
    }

    private static func resolve(
        _ member: ClusterSummary.Member, in inventory: Inventory
    ) -> Result<PlannedMember, ManagerError> {
        let name = member.name
        let found = inventory.machines(named: name)
        guard !found.isEmpty else { return .failure(ManagerError(absence(of: member, in: inventory))) }
        // A desktop may still know, switched off, a VM that was restored onto another.
        let running = found.filter { $0.machine.state == "running" }
        guard let only = running.first else {
            // Of one whose hypervisor does not serve the agent nobody knows whether it runs.
            let hidden = found.flatMap(\.machine.blockers).filter { $0.code == .hypervisorUnavailable }
            guard hidden.isEmpty else {
                return .failure(ManagerError(hidden.map { Failure($0.code, member: name, $0.message) }))
            }
            let states = found.map { "\($0.machine.state) on \($0.host)" }.joined(separator: ", ")
            return .failure(
                ManagerError(
                    Failure(.machineNotRunning, member: name, "It is \(states). Start it, or let it run on, first.")))
        }
        guard running.count == 1 else {
            let hosts = running.map(\.host.rawValue).joined(separator: " and ")
            let text = "VMs of this name run on \(hosts). Rename or stop all but one."
            return .failure(ManagerError(Failure(.unsupported, member: name, text)))
        }
        guard only.machine.blockers.isEmpty else {
            let blockers = only.machine.blockers.map { Failure($0.code, member: name, $0.message) }
            return .failure(ManagerError(blockers))
        }
        return .success(
            PlannedMember(name: name, host: only.host, machine: only.machine.uuid, nics: only.machine.nics))
    }

    /// Why a member is on none of the hosts that answered.
    private static func absence(of member: ClusterSummary.Member, in inventory: Inventory) -> Failure {
        if let last = member.lastHost {
            switch inventory.hosts[last] {
            case nil:
                let text = "It ran on \(last) last, whose agent is not connected. Start the agent there."
                return Failure(.hostUnavailable, member: member.name, text)
            case .failure(let failure): return Failure(failure.code, member: member.name, failure.message)
            case .success: break
            }
        }
        if let failure = inventory.failures.first {
            return Failure(failure.code, member: member.name, failure.message)
        }
        let outages = inventory.outageFailures
        if let outage = outages.first(where: { $0.host == member.lastHost }) ?? outages.first {
            let text = "No connected agent shows a VM of this name, but \(outage.failure.message)"
            return Failure(outage.failure.code, member: member.name, text)
        }
        let text =
            "No connected agent knows a VM of this name. `holdfast vms` shows those that there are; the owner of a "
            + "desktop may also have left it out of the VMs that the agent may see."
        return Failure(.unknownMachine, member: member.name, text)
    }
}
