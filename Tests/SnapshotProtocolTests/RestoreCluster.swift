import SnapshotProtocol

/// The restore's counterpart of `SnapshotCluster`: real machines, queues for a network, drivers that answer when asked.
struct RestoreCluster {
    enum Occurrence: Hashable {
        case decided(RestoreCoordinator.Action)
        case ordered(RestoreParticipant.Action, HostName)
        case performed(RestoreParticipant.Action, HostName)
    }

    let plan: RestorePlan
    let hosts: [HostName]
    private(set) var now = Tick(0)
    private(set) var coordinator: RestoreCoordinator
    private(set) var managerAlive = true
    private(set) var participants: [HostName: RestoreParticipant] = [:]
    private(set) var commands: [HostName: [RestoreCommand]] = [:]
    private(set) var reports: [HostName: [RestoreReport]] = [:]
    private(set) var work: [HostName: [RestoreParticipant.Action]] = [:]
    private(set) var linked: Set<HostName>
    private(set) var outcome: RestoreCoordinator.Outcome?
    private(set) var history: [Occurrence] = []
    private var traced = 0
    /// Members loaded from the snapshot, running or not.
    private(set) var loaded: Set<MemberName> = []
    private(set) var fences: Set<HostName> = []
    private(set) var committed: Set<HostName> = []
    /// Hosts on which originals run, and what they say about it.
    var originals: [HostName: [Failure]] = [:]
    /// Members that cannot be loaded, and why.
    var unloadable: [MemberName: Failure] = [:]

    init(plan: RestorePlan, bystanders: [HostName] = []) {
        self.plan = plan
        hosts = Set(plan.members.map(\.host)).union(bystanders).sorted()
        coordinator = RestoreCoordinator(plan: plan, reachable: hosts)
        linked = Set(hosts)
        for host in hosts { participants[host] = RestoreParticipant(host: host) }
    }

    /// `a@d1 b@d2`, as in the traces.
    static func plan(_ places: [String], replaceRunning: Bool = true, replayLogs: Bool = true) -> RestorePlan {
        let members = places.map { place in
            let parts = place.split(separator: "@").map(String.init)
            return RestoredMember(
                name: MemberName(parts[0]), host: HostName(parts[1]), machine: "machine-\(parts[0])", nics: [],
                parts: [], requirements: [:])
        }
        return RestorePlan(
            snapshot: "s1", cluster: "demo", members: members, replaceRunning: replaceRunning, replayLogs: replayLogs)
    }

    /// What the machines have decided since this was last asked, for people.
    mutating func takeTrace() -> [String] {
        defer { traced = history.count }
        return history[traced...].compactMap { occurrence in
            switch occurrence {
            case .decided(let action): TraceText.line(action)
            case .ordered(let action, let host): TraceText.line(action, by: host)
            default: nil
            }
        }
    }

    // MARK: What a schedule can do

    mutating func tell(_ event: RestoreCoordinator.Event) {
        guard managerAlive else { return }
        for action in coordinator.handle(event, at: now) { decided(action) }
    }

    mutating func tell(_ host: HostName, _ event: RestoreParticipant.Event) {
        guard let actions = participants[host]?.handle(event) else { return }
        for action in actions { ordered(action, by: host) }
    }

    mutating func tick(_ milliseconds: UInt64) {
        now = now + milliseconds
        tell(.tick)
    }

    mutating func deliverCommand(to host: HostName) {
        guard commands[host]?.isEmpty == false, let command = commands[host]?.removeFirst() else { return }
        tell(host, .command(command))
    }

    mutating func collectReport(from host: HostName, again: Bool = false) {
        guard let report = reports[host]?.first else { return }
        if !again { reports[host]?.removeFirst() }
        tell(.report(report, from: host))
    }

    func ready(on host: HostName) -> [Int] {
        var lanes: Set<String> = []
        return (work[host] ?? []).indices.filter { lanes.insert(lane(of: work[host]![$0])).inserted }
    }

    mutating func perform(_ index: Int, on host: HostName) {
        guard let action = work[host]?.remove(at: index) else { return }
        history.append(.performed(action, host))
        switch action {
        case .fence:
            fences.insert(host)
            if let failures = originals[host], !plan.replaceRunning {
                tell(host, .originalsRunning(failures))
            } else {
                tell(host, .fenced)
            }
        case .load(let member):
            if let failure = unloadable[member.name] {
                tell(host, .failed(failure))
            } else {
                loaded.insert(member.name)
                tell(host, .memberLoaded(member.name))
            }
        case .replay(let member): tell(host, .memberReplayed(member.name, segments: 2))
        case .open:
            fences.remove(host)
            tell(host, .opened)
        case .start(let name): tell(host, .memberStarted(name))
        case .discard(let name):
            loaded.remove(name)
            tell(host, .memberDiscarded(name))
        case .liftFence:
            fences.remove(host)
            tell(host, .fenceLifted)
        case .commit: committed.insert(host)
        case .report, .end: break
        }
    }

    mutating func sever(_ host: HostName) {
        linked.remove(host)
        commands[host] = []
        reports[host] = []
    }

    mutating func killManager() {
        managerAlive = false
        for host in hosts { sever(host) }
    }

    var isQuiet: Bool {
        hosts.allSatisfy {
            commands[$0, default: []].isEmpty && work[$0, default: []].isEmpty
                && (reports[$0, default: []].isEmpty || !managerAlive)
        }
    }

    // MARK: What the machines want

    private mutating func decided(_ action: RestoreCoordinator.Action) {
        history.append(.decided(action))
        switch action {
        case .send(let command, let host): if linked.contains(host) { commands[host, default: []].append(command) }
        case .finished(let outcome): self.outcome = outcome
        case .enter: break
        }
    }

    private mutating func ordered(_ action: RestoreParticipant.Action, by host: HostName) {
        history.append(.ordered(action, host))
        switch action {
        case .report(let report): if linked.contains(host) { reports[host, default: []].append(report) }
        case .end: break
        default: work[host, default: []].append(action)
        }
    }

    private func lane(of action: RestoreParticipant.Action) -> String {
        switch action {
        case .load(let member), .replay(let member): "member \(member.name)"
        case .start(let name), .discard(let name): "member \(name)"
        default: "fence"
        }
    }
}
