import SnapshotProtocol

/// The commands of a trace about an epoch.
struct SnapshotScenario: TraceScenario {
    private var cluster: SnapshotCluster
    /// Hosts whose drivers answer nothing at present.
    private var stalled: Set<HostName> = []

    /// `cluster a@d1 b@d2 [mode=colour] [budget=ms] [bound=ms]`
    init(_ command: TraceCommand) {
        cluster = SnapshotCluster(
            plan: SnapshotCluster.plan(
                command.words, mode: command.settings["mode"].flatMap { SnapshotMode(rawValue: $0) } ?? .hold,
                holdBudget: command.settings["budget"].flatMap { UInt64($0) } ?? 1_000,
                flushBound: command.settings["bound"].flatMap { UInt64($0) } ?? 200))
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
            guard let phase = SnapshotCoordinator.Phase(rawValue: try command.word(0)) else {
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
            cluster.tell(.report(try report(try command.word(1), from: host), from: host))
        case "lose":
            for host in try command.hosts(of: all) {
                cluster.sever(host)
                cluster.tell(.hostLost(host))
                cluster.tell(host, .managerLost)
            }
        case "kill":
            if try command.word(0) == "manager" {
                cluster.killManager()
                for host in all { cluster.tell(host, .managerLost) }
            } else {
                for host in try command.hosts(of: all) {
                    cluster.kill(host)
                    cluster.tell(.hostLost(host))
                }
            }
        case "fail": cluster.tell(HostName(try command.word(0)), .failed(try command.failure(1)))
        case "refuse":
            let member = MemberName(try command.word(0))
            cluster.refusals[member] = try command.failure(1, member: member)
        case "bleach": cluster.traffic.bleaching.insert(try command.channel(0))
        case "drop": cluster.deafChannels.insert(try command.channel(0))
        case "marker":
            let (kind, bleached, beforeCut) = try command.marker(2)
            cluster.tell(
                HostName(try command.word(0)),
                .markerArrived(try command.channel(1), kind, bleached: bleached, beforeCut: beforeCut))
        case "attest": try attest(command)
        case "forget": cluster.forgotten.insert(MemberName(try command.word(0)))
        case "command":
            let host = HostName(try command.word(0))
            cluster.tell(host, .command(try self.command(try command.word(1))))
        case "manifest":
            if try command.word(0) == "written" {
                cluster.tell(.manifestWritten)
            } else {
                cluster.tell(.manifestFailed(try command.failure(1)))
            }
        default: throw TraceError(description: "there is no command \(command.verb)")
        }
    }

    private mutating func attest(_ command: TraceCommand) throws(TraceError) {
        let member = MemberName(try command.word(0))
        var gate = GateAttestation(member: member, releasedAt: .max)
        switch try command.word(1) {
        case "watchdog": gate.watchdogFired = true
        case "overflow": gate.overflowed = 3
        case "foreign-change": gate.foreignChanges = 1
        case "broken": gate.unbroken = false
        default: throw TraceError(description: "no gate attests \(command.words[1])")
        }
        cluster.attestations[member] = gate
    }

    private mutating func deliver(to hosts: [HostName]) {
        for host in hosts {
            for _ in cluster.commands[host] ?? [] { cluster.deliverCommand(to: host) }
            let local = Set(cluster.plan.members(on: host).map(\.name))
            for channel in cluster.traffic.busyChannels where local.contains(channel.receiver) {
                while cluster.traffic.inFlight[channel]?.isEmpty == false { cluster.deliverPacket(on: channel) }
            }
        }
    }

    private mutating func answer(on hosts: [HostName]) {
        for host in hosts where !stalled.contains(host) {
            for _ in cluster.work[host] ?? [] { cluster.perform(0, on: host) }
        }
    }

    private mutating func collect(from host: HostName) {
        for _ in cluster.reports[host] ?? [] { cluster.collectReport(from: host) }
    }

    /// Lets everything happen that needs no time, in rounds: commands and packets, drivers, reports.
    private mutating func stabilize(until phase: SnapshotCoordinator.Phase? = nil) {
        for _ in 0..<200 where !cluster.isQuiet && cluster.coordinator.phase != phase {
            deliver(to: cluster.hosts)
            answer(on: cluster.hosts)
            for host in cluster.hosts {
                if cluster.coordinator.phase == phase { return }
                collect(from: host)
            }
        }
    }

    private func report(_ name: String, from host: HostName) throws(TraceError) -> SnapshotReport {
        let members = cluster.plan.members(on: host).map(\.name)
        switch name {
        case "prepared": return .prepared
        case "armed": return .armed(.hold)
        case "flushed": return .flushed(.hold)
        case "cut":
            return .cut(
                members.map {
                    MemberCut(
                        member: $0, armedAt: 0, cutStartedAt: 0, cutEndedAt: 0, pause: 0, method: "background")
                })
        case "settled": return .settled
        case "released": return .released(members.map { GateAttestation(member: $0) })
        case "saved":
            return .saved(members.map { StoredMember(member: $0, parts: [], savedAt: 0, requirements: [:]) })
        case "sealed": return .sealed
        case "aborted": return .aborted
        default: throw TraceError(description: "there is no report \(name)")
        }
    }

    private func command(_ name: String) throws(TraceError) -> SnapshotCommand {
        switch name {
        case "prepare": return .prepare(cluster.plan)
        case "arm": return .arm(.hold)
        case "flush": return .flush
        case "cut": return .cut
        case "settle": return .settle
        case "release": return .release
        case "seal": return .seal
        case "abort": return .abort(reason: "as the trace says")
        default: throw TraceError(description: "there is no such command as \(name)")
        }
    }
}
