import SnapshotProtocol

/// The commands of a trace about a restore.
struct RestoreScenario: TraceScenario {
    private var cluster: RestoreCluster
    private var stalled: Set<HostName> = []

    /// `restore a@d1 b@d2 [bystander=d3] [replace=no] [replay=no]`
    init(_ command: TraceCommand) {
        cluster = RestoreCluster(
            plan: RestoreCluster.plan(
                command.words, replaceRunning: command.settings["replace"] != "no",
                replayLogs: command.settings["replay"] != "no"),
            bystanders: command.settings["bystander"].map { [HostName($0)] } ?? [])
    }

    mutating func run(_ command: TraceCommand) throws(TraceError) -> [String] {
        try perform(command)
        return cluster.takeTrace()
    }

    private mutating func perform(_ command: TraceCommand) throws(TraceError) {
        let all = cluster.hosts
        switch command.verb {
        case "start": cluster.tell(.start)
        case "cancel": cluster.tell(.cancel)
        case "tick": cluster.tick(try command.number(0))
        case "deliver": deliver(to: try command.hosts(of: all))
        case "answer": answer(on: try command.hosts(of: all))
        case "collect": for host in try command.hosts(of: all) { collect(from: host) }
        case "stabilize": stabilize()
        case "until":
            guard let phase = RestoreCoordinator.Phase(rawValue: try command.word(0)) else {
                throw TraceError(description: "\(command.words[0]) is no phase")
            }
            stabilize(until: phase)
            if cluster.coordinator.phase != phase {
                throw TraceError(description: "came to rest \(cluster.coordinator.phase.rawValue)")
            }
        case "stall": stalled.formUnion(try command.hosts(of: all))
        case "resume": stalled.subtract(try command.hosts(of: all))
        case "report":
            let host = HostName(try command.word(0))
            cluster.tell(.report(try report(try command.word(1)), from: host))
        case "lose":
            for host in try command.hosts(of: all) {
                cluster.sever(host)
                cluster.tell(.hostLost(host))
                cluster.tell(host, .managerLost)
            }
        case "kill":
            cluster.killManager()
            for host in all { cluster.tell(host, .managerLost) }
        case "fail": cluster.tell(HostName(try command.word(0)), .failed(try command.failure(1)))
        case "originals":
            let host = HostName(try command.word(0))
            cluster.originals[host] = [try command.failure(1)]
        case "unloadable":
            let member = MemberName(try command.word(0))
            cluster.unloadable[member] = try command.failure(1, member: member)
        default: throw TraceError(description: "there is no command \(command.verb)")
        }
    }

    private mutating func deliver(to hosts: [HostName]) {
        for host in hosts { for _ in cluster.commands[host] ?? [] { cluster.deliverCommand(to: host) } }
    }

    private mutating func answer(on hosts: [HostName]) {
        for host in hosts where !stalled.contains(host) {
            for _ in cluster.work[host] ?? [] { cluster.perform(0, on: host) }
        }
    }

    private mutating func collect(from host: HostName) {
        for _ in cluster.reports[host] ?? [] { cluster.collectReport(from: host) }
    }

    private mutating func stabilize(until phase: RestoreCoordinator.Phase? = nil) {
        for _ in 0..<200 where !cluster.isQuiet && cluster.coordinator.phase != phase {
            deliver(to: cluster.hosts)
            answer(on: cluster.hosts)
            for host in cluster.hosts {
                if cluster.coordinator.phase == phase { return }
                collect(from: host)
            }
        }
    }

    private func report(_ name: String) throws(TraceError) -> RestoreReport {
        switch name {
        case "fenced": return .fenced
        case "loaded": return .loaded
        case "replayed": return .replayed(segments: 100)
        case "opened": return .opened
        case "started": return .started
        case "finished": return .finished
        case "discarded": return .discarded
        default: throw TraceError(description: "there is no report \(name)")
        }
    }
}
