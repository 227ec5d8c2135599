import SnapshotProtocol

/// A real coordinator and a real participant per host, with queues for a network and drivers that answer when asked.
///
/// Nothing happens by itself: a trace or a random schedule says which message arrives and which action is done next.
/// `history` keeps everything in order, for whoever wants to judge the course.
struct SnapshotCluster {
    enum Occurrence: Hashable {
        /// The coordinator decided it.
        case decided(SnapshotCoordinator.Action)
        /// The participant asked for it.
        case ordered(SnapshotParticipant.Action, HostName)
        /// The driver has done it.
        case performed(SnapshotParticipant.Action, HostName)
        case killed(HostName)
        case severed(HostName)
    }

    let plan: SnapshotPlan
    let hosts: [HostName]
    private(set) var now = Tick(0)
    private(set) var coordinator: SnapshotCoordinator
    private(set) var managerAlive = true
    private(set) var participants: [HostName: SnapshotParticipant] = [:]
    private(set) var commands: [HostName: [SnapshotCommand]] = [:]
    private(set) var reports: [HostName: [SnapshotReport]] = [:]
    /// What the participants have asked for and the drivers have not done yet, in the order of asking.
    private(set) var work: [HostName: [SnapshotParticipant.Action]] = [:]
    private(set) var linked: Set<HostName>
    private(set) var manifestPending = false
    /// The repository holds a manifest of this epoch.
    private(set) var manifestExists = false
    private(set) var outcome: SnapshotCoordinator.Outcome?
    private(set) var history: [Occurrence] = []
    private var traced = 0
    var traffic: SegmentTraffic
    /// Channels on which the network loses the marker.
    var deafChannels: Set<Channel> = []
    /// Members that their host will not prepare, and why.
    var refusals: [MemberName: Failure] = [:]
    /// What a gate attests, where it is not the best.
    var attestations: [MemberName: GateAttestation] = [:]
    /// Members for which a host, by a defect, hands in nothing.
    var forgotten: Set<MemberName> = []

    init(plan: SnapshotPlan) {
        self.plan = plan
        hosts = Set(plan.members.map(\.host)).sorted()
        coordinator = SnapshotCoordinator(plan: plan)
        linked = Set(hosts)
        traffic = SegmentTraffic(plan: plan)
        for host in hosts { participants[host] = SnapshotParticipant(host: host) }
    }

    /// `a@d1 b@d2`, as in the traces.
    static func plan(
        _ places: [String], mode: SnapshotMode = .hold, holdBudget: UInt64 = 1_000, flushBound: UInt64 = 200
    ) -> SnapshotPlan {
        let members = places.enumerated().map { number, place in
            let parts = place.split(separator: "@").map(String.init)
            return PlannedMember(
                name: MemberName(parts[0]), host: HostName(parts[1]), machine: "machine-\(parts[0])",
                nics: [MemberNIC(mac: "52:54:00:00:00:0\(number + 1)")])
        }
        return SnapshotPlan(
            snapshot: "s1", cluster: "demo", epoch: Epoch(1), mode: mode, members: members,
            markerKey: Array(repeating: 7, count: 32), holdBudget: holdBudget, colourBudget: 10 * holdBudget,
            flushBound: flushBound)
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

    mutating func tell(_ event: SnapshotCoordinator.Event) {
        guard managerAlive else { return }
        switch event {
        case .manifestWritten:
            manifestPending = false
            manifestExists = true
        case .manifestFailed: manifestPending = false
        default: break
        }
        for action in coordinator.handle(event, at: now) { decided(action) }
    }

    mutating func tell(_ host: HostName, _ event: SnapshotParticipant.Event) {
        guard let actions = participants[host]?.handle(event, at: now) else { return }
        for action in actions { ordered(action, by: host) }
    }

    mutating func tick(_ milliseconds: UInt64) {
        now = now + milliseconds
        for host in hosts { tell(host, .tick) }
        tell(.tick)
    }

    mutating func deliverCommand(to host: HostName) {
        guard commands[host]?.isEmpty == false, let command = commands[host]?.removeFirst() else { return }
        tell(host, .command(command))
    }

    /// `again`: the network repeats the report, which stays in the queue.
    mutating func collectReport(from host: HostName, again: Bool = false) {
        guard let report = reports[host]?.first else { return }
        if !again { reports[host]?.removeFirst() }
        tell(.report(report, from: host))
    }

    mutating func deliverPacket(on channel: Channel, at index: Int = 0) {
        guard let marker = traffic.deliver(on: channel, at: index) else { return }
        guard let home = plan.members.first(where: { $0.name == channel.receiver })?.host else { return }
        tell(
            home,
            .markerArrived(
                marker.channel, marker.kind, bleached: marker.bleached, beforeCut: marker.beforeCut))
    }

    /// Which of a host's outstanding actions can be done now: the gates' in their order, and each member's in theirs.
    func ready(on host: HostName) -> [Int] {
        var lanes: Set<String> = []
        return (work[host] ?? []).indices.filter { lanes.insert(lane(of: work[host]![$0])).inserted }
    }

    mutating func perform(_ index: Int, on host: HostName) {
        guard let action = work[host]?.remove(at: index) else { return }
        history.append(.performed(action, host))
        let members = plan.members(on: host).map(\.name)
        switch action {
        case .prepare(let member):
            if let refusal = refusals[member.name] {
                tell(host, .memberRefused(refusal))
            } else {
                tell(host, .memberPrepared(member.name))
            }
        case .armGates(let mode):
            traffic.arm(host, mode)
            tell(host, .gatesArmed)
        case .heedColour: traffic.heedColour(host)
        case .sendMarkers(let kind, let senders):
            for sender in senders {
                for receiver in plan.members.map(\.name) where receiver != sender {
                    let channel = Channel(sender: sender, receiver: receiver)
                    if !deafChannels.contains(channel) { traffic.sendMarker(kind, on: channel) }
                }
            }
        case .cut(let member):
            traffic.cut(member)
            let time = now.rawValue * 1_000_000
            tell(
                host,
                .memberCut(
                    MemberCut(
                        member: member, armedAt: time, cutStartedAt: time + 1, cutEndedAt: time + 2, pause: 1,
                        method: "background")))
        case .stopLateLog: traffic.stopLateLog(host)
        case .releaseGates:
            traffic.open(host)
            let time = now.rawValue * 1_000_000 + 3
            tell(
                host,
                .gatesReleased(
                    members.filter { !forgotten.contains($0) }.map {
                        attestations[$0] ?? GateAttestation(member: $0, releasedAt: time, holdTime: 3)
                    }))
        case .store(let member):
            tell(
                host,
                .memberStored(StoredMember(member: member, parts: [], savedAt: now.rawValue, requirements: [:])))
        case .finish(let member): tell(host, .memberFinished(member))
        case .openGates:
            traffic.open(host)
            tell(host, .gatesOpened)
        case .abandon(let member): tell(host, .memberAbandoned(member))
        case .report, .end: break
        }
    }

    /// Nothing passes between manager and host from now on, and what was under way is gone.
    mutating func sever(_ host: HostName) {
        linked.remove(host)
        commands[host] = []
        reports[host] = []
        history.append(.severed(host))
    }

    /// The agent's process is gone: its rules let everything pass.
    mutating func kill(_ host: HostName) {
        sever(host)
        participants[host] = nil
        work[host] = []
        traffic.open(host)
        history.append(.killed(host))
    }

    mutating func killManager() {
        managerAlive = false
        for host in hosts { sever(host) }
    }

    /// Whether anything can still happen without time passing or a fault.
    var isQuiet: Bool {
        hosts.allSatisfy {
            commands[$0, default: []].isEmpty && work[$0, default: []].isEmpty
                && (reports[$0, default: []].isEmpty || !managerAlive)
        } && traffic.busyChannels.isEmpty
    }

    // MARK: What the machines want

    private mutating func decided(_ action: SnapshotCoordinator.Action) {
        history.append(.decided(action))
        switch action {
        case .send(let command, let host): if linked.contains(host) { commands[host, default: []].append(command) }
        case .seal: manifestPending = true
        case .finished(let outcome): self.outcome = outcome
        case .enter, .discard, .fallBack: break
        }
    }

    private mutating func ordered(_ action: SnapshotParticipant.Action, by host: HostName) {
        history.append(.ordered(action, host))
        switch action {
        case .report(let report): if linked.contains(host) { reports[host, default: []].append(report) }
        case .end: break
        case .stopLateLog, .heedColour:
            // By its contract done before whatever follows it.
            work[host, default: []].append(action)
            perform(work[host]!.count - 1, on: host)
        default: work[host, default: []].append(action)
        }
    }

    private func lane(of action: SnapshotParticipant.Action) -> String {
        switch action {
        case .prepare(let member): "member \(member.name)"
        case .cut(let name), .store(let name), .finish(let name), .abandon(let name): "member \(name)"
        default: "gates"
        }
    }
}
