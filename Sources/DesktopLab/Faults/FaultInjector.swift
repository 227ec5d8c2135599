import Foundation

/// Does faults to a lab and heals them.
struct FaultInjector: Sendable {
    let lab: Lab
    let supervisor: LabSupervisor

    /// The desktop that is hit.
    static let desktop = 1

    private var victim: Lab.Machine { lab.machines[0] }
    private var agent: String { ProductDaemons.agentRole(lab.topology.hostName(ofDesktop: Self.desktop)) }

    /// Makes ready what the fault needs, on a lab that is well.
    func prepare(_ fault: Fault) async throws {
        guard fault == .clockStepped else { return }
        try clock.install()
        try await restartAgent()
    }

    /// Takes away what `prepare` made.
    func cleanUp(_ fault: Fault) async throws {
        guard fault == .clockStepped else { return }
        try clock.remove()
        try await restartAgent()
    }

    /// The supervisor starts it again.
    private func restartAgent() async throws {
        guard let former = try lab.daemon(agent) else { return }
        await former.stop()
        // libfaketime leaves them behind.
        for name in ["faketime_shm", "sem.faketime_sem"] { unlink("/dev/shm/\(name)_\(former.pid)") }
        let end = ContinuousClock.now + .seconds(30)
        while try lab.daemon(agent) == nil {
            guard ContinuousClock.now < end else { throw LabError.timedOut("the restart of \(agent)", detail: "") }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Returns when it is done.
    func inflict(_ fault: Fault, in job: FaultCase.Job) async throws {
        switch fault {
        case .agentKilled: try lab.signal(agent, SIGKILL)
        case .agentStopped: try lab.signal(agent, SIGSTOP)
        case .managerKilled: try lab.signal(ProductDaemons.managerRole, SIGKILL)
        case .libvirtdKilled: try lab.signal(lab.daemon(Self.desktop).role, SIGKILL)
        case .guestKilled: try await killVictim()
        case .partition: try await lab.setLink(ofDesktop: Self.desktop, up: false)
        case .workspaceFull: try room(job).fill()
        case .repositoryFull: try repository.fill()
        case .rulesetFlushed: try await run(["nft", "flush", "ruleset"])
        case .rulesetReplaced: try await run(["iptables-restore"], input: Self.foreignRules)
        case .flood:
            try UDPFlood(
                lab: lab, place: .desktop(lab.desktops.count), address: victim.address, patience: .seconds(2)
            ).start()
        case .clockStepped: try clock.step(to: 3_600)
        case .desktopRemoved: try await remove()
        }
    }

    func heal(_ fault: Fault, in job: FaultCase.Job) async throws {
        switch fault {
        case .agentStopped: try lab.signal(agent, SIGCONT)
        case .partition: try await lab.setLink(ofDesktop: Self.desktop, up: true)
        case .workspaceFull: try room(job).empty()
        case .repositoryFull: try repository.empty()
        case .clockStepped: try clock.step(to: 0)
        case .desktopRemoved:
            try await lab.setLink(ofDesktop: Self.desktop, up: true)
            await supervisor.switchOn(Self.desktop)
        case .agentKilled, .managerKilled, .libvirtdKilled, .guestKilled, .rulesetFlushed, .rulesetReplaced, .flood:
            break
        }
    }

    // MARK: How

    /// What a firewall might have: it names the tables that the gates use, and so empties them.
    private static let foreignRules = """
        *raw
        :PREROUTING ACCEPT [0:0]
        :OUTPUT ACCEPT [0:0]
        COMMIT
        *mangle
        :PREROUTING ACCEPT [0:0]
        :INPUT ACCEPT [0:0]
        :FORWARD ACCEPT [0:0]
        :OUTPUT ACCEPT [0:0]
        :POSTROUTING ACCEPT [0:0]
        COMMIT
        *filter
        :INPUT ACCEPT [0:0]
        :FORWARD ACCEPT [0:0]
        :OUTPUT ACCEPT [0:0]
        -A INPUT -i lo -j ACCEPT
        COMMIT

        """

    private func run(_ command: [String], input: String = "") async throws {
        try await Command.require(lab.command(command, in: .desktop(Self.desktop)), input: input)
    }

    /// While a restore loads it, it may not be there yet.
    private func killVictim() async throws {
        let end = ContinuousClock.now + .seconds(2)
        while true {
            for desktop in lab.desktops {
                guard let pid = lab.emulator(of: victim.name, on: desktop.number) else { continue }
                kill(pid, SIGKILL)
                return
            }
            guard ContinuousClock.now < end else {
                throw LabError.timedOut("waiting for the QEMU of \(victim.name), to kill it", detail: "")
            }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    private func remove() async throws {
        await supervisor.switchOff(Self.desktop)
        try await lab.setLink(ofDesktop: Self.desktop, up: false)
        // What has begun a child in the meantime is dead by the second look, the child by the third.
        while true {
            let listed = try await Command.require([
                "ip", "netns", "pids", lab.topology.namespace(ofDesktop: Self.desktop),
            ])
            let pids = listed.split(separator: "\n").compactMap { Int32($0) }
            if pids.isEmpty { return }
            for pid in pids { kill(pid, SIGKILL) }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    private func room(_ job: FaultCase.Job) throws -> SmallRoom {
        guard let rooms = lab.configuration.rooms else { throw LabError.badConfiguration("the lab has no small rooms") }
        return switch job {
        case .snapshot: SmallRoom(path: lab.folders.workspace(Self.desktop), size: rooms.workspace)
        case .restore: SmallRoom(path: lab.folders.restored(Self.desktop), size: rooms.restored)
        }
    }

    private var repository: SmallRoom {
        get throws {
            guard let rooms = lab.configuration.rooms else {
                throw LabError.badConfiguration("the lab has no small rooms")
            }
            return SmallRoom(path: lab.folders.repository, size: rooms.repository)
        }
    }

    private var clock: DesktopClock {
        get throws {
            guard let clock = DesktopClock(lab.configuration, desktop: Self.desktop) else {
                throw LabError.badConfiguration("the lab's clocks cannot be stepped")
            }
            return clock
        }
    }
}
