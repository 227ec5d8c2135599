package import SnapshotProtocol
package import WireProtocol

/// Decides where the members of a snapshot shall run again, and whether they may. Pure.
package struct RestorePlacement: Sendable {
    package var request: RestoreRequest
    package var cluster: String
    package var members: [MemberEvidence]
    /// What every connected host offers.
    package var offers: [HostName: [String: String]]
    package var inventory: Inventory
    /// Where members ran last, as far as the catalog knows.
    package var lastHosts: [MemberName: HostName]

    package init(
        request: RestoreRequest, cluster: String, members: [MemberEvidence], offers: [HostName: [String: String]],
        inventory: Inventory, lastHosts: [MemberName: HostName]
    ) {
        self.request = request
        self.cluster = cluster
        self.members = members
        self.offers = offers
        self.inventory = inventory
        self.lastHosts = lastHosts
    }

    package func plan() throws(ManagerError) -> RestorePlan {
        try checkRequest()
        try checkOriginals()
        var load: [HostName: Int] = [:]
        var hosts: [MemberName: HostName] = [:]
        var failures: [Failure] = []
        // Those whose place is given first: the others make room for them.
        for evidence in members.filter({ preferred($0) != nil }) + members.filter({ preferred($0) == nil }) {
            switch place(evidence, load: load) {
            case .success(let host):
                hosts[evidence.member.name] = host
                load[host, default: 0] += 1
            case .failure(let failure): failures.append(failure)
            }
        }
        guard failures.isEmpty else { throw ManagerError(failures) }
        return RestorePlan(
            snapshot: request.snapshot, cluster: cluster,
            members: members.map { evidence in
                RestoredMember(
                    name: evidence.member.name, host: hosts[evidence.member.name] ?? evidence.member.host,
                    machine: evidence.member.machine, nics: evidence.member.nics, parts: evidence.stored.parts,
                    requirements: evidence.stored.requirements)
            },
            replaceRunning: request.replaceRunning, replayLogs: request.replayLogs)
    }

    // MARK: Refusals

    private func checkRequest() throws(ManagerError) {
        let names = Set(members.map(\.member.name))
        for (member, host) in request.placements.sorted(by: { $0.key < $1.key }) {
            guard names.contains(member) else {
                throw ManagerError(
                    .usage,
                    "\(member) is no member of the snapshot \(request.snapshot); it cannot be placed on \(host).")
            }
        }
        for host in request.lostHosts.sorted() where offers[host] != nil {
            throw ManagerError(
                .usage, "\(host) is connected, so it is not lost. Leave --lost \(host) out.")
        }
    }

    /// An original may only be overlooked where nothing can run any more.
    private func checkOriginals() throws(ManagerError) {
        var failures =
            inventory.failures + inventory.outageFailures.filter(\.outage.isSilent).map(\.failure)
        for evidence in members {
            let name = evidence.member.name
            let last = lastHosts[name] ?? evidence.member.host
            if offers[last] == nil, !request.lostHosts.contains(last) {
                let text =
                    "It ran on \(last) last, whose agent is not connected, so it may run there still. Start the agent; "
                    + "or, if that host is down for good, say so with --lost \(last)."
                failures.append(Failure(.hostUnavailable, member: name, text))
            }
            guard !request.replaceRunning else { continue }
            for found in inventory.machines
            where found.machine.state != "off"
                && (found.machine.uuid == evidence.member.machine || found.machine.name == name.rawValue)
            {
                let text =
                    "It is \(found.machine.state) on \(found.host). Stop it, or restore with --replace, which stops it."
                failures.append(Failure(.originalsRunning, member: name, text))
            }
        }
        guard failures.isEmpty else { throw ManagerError(failures) }
    }

    // MARK: Choice

    /// The host that was asked for or recorded, if it is connected and fits.
    private func preferred(_ evidence: MemberEvidence) -> HostName? {
        if let host = request.placements[evidence.member.name] { return host }
        let recorded = evidence.member.host
        return misfit(of: evidence, on: recorded) == nil ? recorded : nil
    }

    private func place(_ evidence: MemberEvidence, load: [HostName: Int]) -> Result<HostName, Failure> {
        let name = evidence.member.name
        if let host = request.placements[name] {
            if let misfit = misfit(of: evidence, on: host) { return .failure(misfit) }
            return .success(host)
        }
        if misfit(of: evidence, on: evidence.member.host) == nil { return .success(evidence.member.host) }
        let fitting = offers.keys.filter { misfit(of: evidence, on: $0) == nil }
        let choice = fitting.min { (load[$0, default: 0], $0.rawValue) < (load[$1, default: 0], $1.rawValue) }
        if let choice { return .success(choice) }
        let reasons = offers.keys.sorted().compactMap { misfit(of: evidence, on: $0)?.message }
        let text = "No connected host can run it. " + reasons.joined(separator: " ")
        return .failure(Failure(offers.isEmpty ? .hostUnavailable : .incompatibleHost, member: name, text))
    }

    /// Why `host` cannot run the member.
    private func misfit(of evidence: MemberEvidence, on host: HostName) -> Failure? {
        let name = evidence.member.name
        guard let offered = offers[host] else {
            let text = "The agent of \(host) is not connected. Start it, or choose another host."
            return Failure(.hostUnavailable, member: name, text)
        }
        let lacking = Self.lacking(evidence.stored.requirements, in: offered)
        guard lacking.isEmpty else {
            let text = "\(host) cannot run it: \(lacking.joined(separator: "; ")). Choose another host."
            return Failure(.incompatibleHost, member: name, text)
        }
        return nil
    }

    /// What of `requirements` a host does not meet, one phrase each.
    ///
    /// An offer is a list, separated by commas. It meets a requirement that is in it; an offered `version` meets those
    /// that are not newer. What counts is what the host offers to VMs of the same driver, as in `qemu.version`: a newer
    /// VirtualBox is no newer QEMU. A host need not state everything: of what it does not state its driver judges,
    /// before anything is loaded.
    package static func lacking(_ requirements: [String: String], in offers: [String: String]) -> [String] {
        // That of snapshots from before there was a choice.
        let driver = requirements["driver"] ?? "libvirt"
        if !driver.isEmpty, let present = offers["driver"], !list(present).contains(driver) {
            // What it lacks besides goes with it.
            return ["it needs \(driver), and the host has \(words(present))"]
        }
        return requirements.sorted { $0.key < $1.key }.compactMap { key, value in
            // Agents of before said it of all their drivers at once.
            guard let offer = offers["\(driver).\(key)"] ?? offers[key], !value.isEmpty else { return nil }
            let choices = list(offer)
            if choices.contains(value) { return nil }
            if key == "version", choices.contains(where: { isNewerOrSame($0, than: value) }) { return nil }
            return "it needs \(key) \(value), the host offers \(words(offer))"
        }
    }

    private static func list(_ offer: String) -> [String] {
        offer.split(separator: ",").map { $0.filter { $0 != " " } }
    }

    /// For people, to whom the machine types of an emulator are too many.
    private static func words(_ offer: String) -> String {
        let choices = list(offer)
        guard choices.count > 6 else { return choices.isEmpty ? "none" : choices.joined(separator: ", ") }
        return "\(choices.count) others"
    }

    private static func isNewerOrSame(_ offered: String, than required: String) -> Bool {
        func numbers(_ text: String) -> [Int] {
            text.split(separator: ".").map { Int($0.prefix(while: \.isNumber)) ?? 0 }
        }
        return !numbers(offered).lexicographicallyPrecedes(numbers(required))
    }
}
