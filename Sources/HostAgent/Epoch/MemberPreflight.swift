import Hypervisor
import SnapshotProtocol

/// Looks, before anything is frozen, whether members can be snapshotted.
struct MemberPreflight {
    let configuration: AgentConfiguration
    let hypervisor: any HypervisorDriver

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
        if let refusal = configuration.refusal(of: machine) {
            return [Failure(refusal.code, member: member.name, refusal.message)]
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
            let needs = SpaceNeeds(of: machines, configuration: configuration)
            return try await BlockingWork.run {
                [try needs.repositoryShortage().failure, try needs.storageShortage().failure].compactMap { $0 }
            }
        } catch {
            return [failure(of: error, member: nil)]
        }
    }
}

extension AgentConfiguration {
    /// Why the desktop's owner does not let a VM be snapshotted; nil if that is allowed.
    func refusal(of machine: VirtualMachine) -> Failure? {
        guard !allows(machine.name) else { return nil }
        let text = "\(host) does not allow this VM. Add it to `allow` in the agent's configuration there."
        return Failure(.noRights, member: MemberName(machine.name), text)
    }
}
