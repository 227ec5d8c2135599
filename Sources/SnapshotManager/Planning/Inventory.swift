package import SnapshotProtocol
package import WireProtocol

/// What the connected hosts say that they have, or why they could not say.
package struct Inventory: Hashable, Sendable {
    package struct Found: Hashable, Sendable {
        package var host: HostName
        package var machine: MachineSummary
    }

    package var hosts: [HostName: Result<[MachineSummary], Failure>]

    /// Of hosts that did say what they have: what is not in it.
    package var outages: [HostName: [HypervisorOutage]] = [:]

    package init(_ hosts: [HostName: Result<[MachineSummary], Failure>] = [:]) { self.hosts = hosts }

    /// In the order of host and name.
    package var machines: [Found] {
        hosts.flatMap { host, result in
            ((try? result.get()) ?? []).map { Found(host: host, machine: $0) }
        }.sorted { ($0.host.rawValue, $0.machine.name) < ($1.host.rawValue, $1.machine.name) }
    }

    /// Of the hosts that could not say, in the order of their names.
    package var failures: [Failure] {
        hosts.sorted { $0.key < $1.key }.compactMap { _, result in
            guard case .failure(let failure) = result else { return nil }
            return failure
        }
    }

    /// The outages of hosts that could say what else they have, in the order of their names.
    package var outageFailures: [(host: HostName, outage: HypervisorOutage, failure: Failure)] {
        outages.sorted { $0.key < $1.key }.flatMap { host, outages in
            guard case .success = hosts[host] else { return [(HostName, HypervisorOutage, Failure)]() }
            return outages.map { outage in
                let text = "\(host) cannot show its VMs under \(outage.driver). \(outage.text)"
                return (host, outage, Failure(.hypervisorUnavailable, text))
            }
        }
    }

    package func machines(named name: MemberName) -> [Found] {
        machines.filter { $0.machine.name == name.rawValue }
    }
}
