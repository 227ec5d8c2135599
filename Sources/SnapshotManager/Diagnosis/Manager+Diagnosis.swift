import SnapshotProtocol
import SnapshotStore
package import WireProtocol

extension Manager {
    /// Looks for what stands in the way of a snapshot. Fails only when it is asked about what there is not.
    package func diagnose(_ scope: DiagnosisScope) async throws(ManagerError) -> [Finding] {
        switch scope {
        case .desktops:
            let hosts = try await catalog.agents(connected: []).map(\.host)
            return await repositoryFindings() + desktops(hosts, needed: [], machines: [:])
        case .desktop(let host):
            guard try await catalog.agents(connected: []).contains(where: { $0.host == host }) else {
                throw ManagerError(.notFound, "No desktop \(host) is enrolled. `holdfast agents` lists those that are.")
            }
            return await desktops([host], needed: [host], machines: [:])
        case .cluster(let name): return try await diagnoseCluster(name)
        }
    }

    // MARK: Desktops

    private func repositoryFindings() async -> [Finding] {
        do throws(ManagerError) {
            // Opened anew: it may have been unmounted, or become read-only, since the manager started.
            let room = try await store { repository throws(StoreError) in
                try DirectoryRepository(opening: repository.path).freeSpace()
            }
            let text = "The manager can write the repository \(repository.path), which has \(room >> 20) MiB free."
            return [Finding(.repository, .manager, ok: text)]
        } catch {
            return error.failures.map { Finding(.repository, .manager, blocker: $0) }
        }
    }

    /// - Parameters:
    ///   - needed: those without which there is no snapshot.
    ///   - machines: names of the VMs to look at on each; all when there is none.
    private func desktops(
        _ hosts: [HostName], needed: Set<HostName>, machines: [HostName: [String]]
    ) async -> [Finding] {
        let sessions = await registry.connected
        return await withTaskGroup(of: (HostName, [Finding]).self) { group in
            for host in hosts {
                group.addTask {
                    guard let session = sessions[host] else {
                        return (host, [DesktopFindings.disconnected(host, isNeeded: needed.contains(host))])
                    }
                    return (host, await Self.findings(about: session, machines: machines[host] ?? []))
                }
            }
            var found: [HostName: [Finding]] = [:]
            for await (host, findings) in group { found[host] = findings }
            return hosts.flatMap { found[$0] ?? [] }
        }
    }

    private static func findings(about session: AgentSession, machines: [String]) async -> [Finding] {
        // Before the examination, which keeps a desktop busy.
        let clock = DesktopFindings.clock(await session.clock(), of: session.host)
        let version = DesktopFindings.version(session.version, of: session.host)
        switch await session.examination(of: machines) {
        case .success(let findings):
            let agent = Finding(.agent, .desktop(session.host), ok: "Its agent is connected.")
            return [agent, version, clock] + findings
        case .failure(let failure):
            return [Finding(.agent, .desktop(session.host), blocker: failure), version, clock]
        }
    }

    // MARK: Clusters

    private func diagnoseCluster(_ name: String) async throws(ManagerError) -> [Finding] {
        let members = try await catalog.cluster(name).members
        let began = quiet(name).mark
        let inventory = await registry.inventory(bound: limits.inventoryBound)
        // A job pauses its members; what was seen beside one says nothing of them.
        let isQuiet = quiet(name, since: began).isQuiet
        var planned: [PlannedMember] = []
        var findings = await repositoryFindings()
        for member in members {
            do throws(ManagerError) {
                let found = try MemberResolution.resolve([member], in: inventory)
                planned += found
                findings += found.map {
                    Finding(.member, .machine($0.name.rawValue, on: $0.host), ok: "The member runs on \($0.host).")
                }
            } catch {
                let host = inventory.machines(named: member.name).first?.host ?? member.lastHost
                let subject = FindingSubject.machine(member.name.rawValue, on: host)
                findings += error.failures.map { failure in
                    guard failure.code == .machineNotRunning, !isQuiet else {
                        return Finding(.member, subject, blocker: failure)
                    }
                    return Finding(
                        .member, subject, .warning,
                        "It does not run at the moment, in which a snapshot or a restore of \(name) is under way.",
                        remedy: "Ask again when that is over.")
                }
            }
        }
        let missing = members.filter { member in !planned.contains { $0.name == member.name } }
        var homes = Set(planned.map(\.host)).union(missing.compactMap(\.lastHost))
            .union(missing.flatMap { inventory.machines(named: $0.name).map(\.host) })
        if missing.contains(where: { inventory.machines(named: $0.name).isEmpty }) {
            // It may be on one that cannot show all it has.
            homes.formUnion(inventory.hosts.filter { (try? $0.value.get()) == nil }.map(\.key))
            homes.formUnion(inventory.outageFailures.map(\.host))
        }
        // Of one that is nowhere all are asked.
        let names = homes.map { host in
            (host, (planned.filter { $0.host == host }.map(\.name) + missing.map(\.name)).map(\.rawValue))
        }
        findings += await desktops(
            homes.sorted(), needed: homes, machines: Dictionary(uniqueKeysWithValues: names))

        let sessions = await registry.connected
        let requirements = planned.map { member in
            let found = inventory.machines(named: member.name).first { $0.host == member.host }
            return (planned: member, requirements: found?.machine.requirements ?? [:])
        }
        findings += PlacementFindings.all(members: requirements, offers: sessions.mapValues(\.offers))
        return findings + (await testPaths(of: name, planned, sessions))
    }

    private func testPaths(
        of cluster: String, _ members: [PlannedMember], _ sessions: [HostName: AgentSession]
    ) async -> [Finding] {
        guard members.count > 1 else {
            return [PathFindings.untested(cluster, why: "fewer than two of them can be snapshotted as they are")]
        }
        let hosts = Set(members.map(\.host))
        let test = PathTestJob(cluster: cluster, members: members, sessions: sessions.filter { hosts.contains($0.key) })
        guard let outcome = await pathTest(test, of: cluster) else { return [PathFindings.untested(cluster, why: nil)] }
        return PathFindings.all(plan: test.plan, outcome: outcome)
    }
}
