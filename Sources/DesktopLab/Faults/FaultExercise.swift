import Foundation

/// Runs one case on a lab that is well, and leaves it well again if the product holds.
package struct FaultExercise: Sendable {
    /// Longest time from a fault, or its healing, until all is well.
    package static let limit = Duration.seconds(5)
    /// What is waited for longer than any bound of the product, so that a report says how long it took.
    static let patience = Duration.seconds(25)

    let lab: Lab
    let supervisor: LabSupervisor
    let cluster: String
    private var injector: FaultInjector { FaultInjector(lab: lab, supervisor: supervisor) }

    package init(lab: Lab, supervisor: LabSupervisor, cluster: String) {
        self.lab = lab
        self.supervisor = supervisor
        self.cluster = cluster
    }

    /// - Parameter base: name of a sealed snapshot, from which an operator would start guests that died.
    /// - Returns: what became of the case, and the sealed snapshot that is the next base.
    package func run(_ subject: FaultCase, base: String) async -> (result: FaultResult, base: String) {
        let start = ContinuousClock.now
        var result = FaultResult(subject)
        var next = base
        do {
            next = try await run(subject, base: base, into: &result)
        } catch {
            result.shortcomings.append("\(error)")
        }
        result.held = result.shortcomings.isEmpty
        result.seconds = ((ContinuousClock.now - start) / .milliseconds(100)).rounded() / 10
        return (result, next)
    }

    private func run(_ subject: FaultCase, base: String, into result: inout FaultResult) async throws -> String {
        let present = emulators()
        guard present.count == lab.machines.count else {
            throw LabError.badConfiguration("the case began with guests missing: \(present.keys.sorted())")
        }
        try await injector.prepare(subject.fault)
        let ends = lab.logEnds()
        let known = Set(try await snapshots())
        let watch = ConditionWatch(lab: lab)
        await watch.start()

        let hit: Hit
        do {
            hit = try await strike(subject, base: base, into: &result)
        } catch {
            await watch.stop()
            throw error
        }
        result.outcome = hit.job.succeeded ? (subject.job == .snapshot ? "sealed" : "restored") : hit.said

        // A restore that goes on is no recovery: its guests are off and fenced for as long as it takes.
        let from = subject.job == .restore && hit.job.succeeded ? max(hit.over, hit.ended) : hit.over
        let settled = max(hit.over, hit.ended)
        // What a killed agent leaves of a restore is put right before it dials in; a snapshot is asked for at once.
        let answered = try await managerAnswers(
            by: settled + Self.patience, with: subject.job == .restore ? lab.desktops.map(\.name) : [])
        while await !watch.isClean(since: settled), ContinuousClock.now < settled + Self.patience {
            try await Task.sleep(for: .milliseconds(20))
        }
        if await !watch.isClean(since: settled) { result.shortcomings += await watch.complaints }
        let budget = Duration.milliseconds(lab.configuration.holdBudget ?? 1_000)
        let spell = await watch.recovered(after: from, budget: budget)
        var recovered = spell?.at ?? from
        result.complaints = spell?.complaints ?? []
        // A manager that was killed is back only when it answers.
        if subject.fault == .managerKilled { recovered = max(recovered, answered) }
        await watch.stop()
        result.recovery = max(0, (recovered - from) / .milliseconds(1))
        if recovered - from > Self.limit {
            result.shortcomings.append("All was well only after \(Int(result.recovery)) ms.")
        }

        let left = emulators()
        judge(left, before: present, subject, hit, into: &result)
        if !hit.dead.isEmpty { result.shortcomings += try await unreported(hit.dead) }
        if subject.job == .snapshot {
            let living = lab.machines.filter { left[$0.name] != nil }
            let stalled = try await WitnessProgress(of: living, in: lab).wait(patience: Self.patience)
            if stalled.isEmpty {
                result.connections = (ContinuousClock.now - from) / .milliseconds(1)
            } else {
                result.shortcomings += stalled
            }
        }
        result.silence = try longestSilence(since: ends)

        if left.count < lab.machines.count {
            let again = try await holdfast(["restore", base, "--replace", "--no-verify"])
            if !again.succeeded { result.shortcomings.append("A restore was then refused: \(Self.said(again))") }
        }
        let next = try await secure(known: known, base: base, into: &result)
        try await injector.cleanUp(subject.fault)
        return next
    }

    // MARK: The fault

    struct Hit: Sendable {
        /// What the command said that was under way.
        var job: CommandResult
        /// When the command ended.
        var ended: ContinuousClock.Instant
        /// When the fault had been done, or healed if it lasts.
        var over: ContinuousClock.Instant
        /// Guests that the laboratory has killed and that nothing has started since.
        var dead: [String]
        var said: String { FaultExercise.said(job) }
    }

    private func strike(_ subject: FaultCase, base: String, into result: inout FaultResult) async throws -> Hit {
        guard let manager = try lab.daemon(ProductDaemons.managerRole) else {
            throw LabError.badConfiguration("no manager runs")
        }
        let phases = try ManagerPhases(log: lab.folders.log("manager"))
        defer { phases.end() }
        phases.onEntry(of: subject.phase, in: subject.job) {
            // The manager stands still while the fault is done, which takes milliseconds as most phases do. Not at
            // once: those whom it tells what to do shall hear of it.
            if subject.phase != "sealing" { usleep(1_500) }
            kill(manager.pid, subject.fault == .managerKilled ? SIGKILL : SIGSTOP)
        }
        let command =
            subject.job == .snapshot
            ? ["snapshot", "create", cluster] : ["restore", base, "--replace", "--no-verify"]
        let job = Task { () throws -> (CommandResult, ContinuousClock.Instant) in
            defer { phases.end() }
            return (try await holdfast(command), .now)
        }
        guard await phases.entered() else {
            let (said, _) = try await job.value
            throw LabError.badConfiguration("\(subject.phase) was never entered: \(Self.said(said))")
        }
        let before = emulators()
        do {
            try await injector.inflict(subject.fault, in: subject.job)
        } catch {
            kill(manager.pid, SIGCONT)
            try? await injector.heal(subject.fault, in: subject.job)
            _ = try? await job.value
            throw error
        }
        result.landed = phases.current
        if subject.fault != .managerKilled { kill(manager.pid, SIGCONT) }
        if let lasts = subject.fault.lasts { try await Task.sleep(for: lasts) }
        try await injector.heal(subject.fault, in: subject.job)
        let over = ContinuousClock.now
        let (said, ended) = try await job.value
        let now = emulators()
        // A restore may have started them anew.
        let dead = before.filter { now[$0.key] == nil }.map(\.key).filter { name in
            subject.fault.killsGuests && (subject.fault != .guestKilled || name == lab.machines[0].name)
        }
        return Hit(job: said, ended: ended, over: over, dead: dead)
    }

    /// When the manager first answered. Returns when the agents of `hosts` are connected too.
    private func managerAnswers(
        by end: ContinuousClock.Instant, with hosts: [String]
    ) async throws -> ContinuousClock.Instant {
        struct List: Decodable {
            struct Agent: Decodable {
                var host: String
                var connected: Bool
            }
            var agents: [Agent]
        }
        var first: ContinuousClock.Instant?
        while true {
            let said = try await holdfast(["agents", "--output", "json"])
            if said.succeeded {
                let answered = first ?? .now
                first = answered
                let list = try JSONDecoder().decode(List.self, from: Data(said.standardOutput.utf8))
                if Set(list.agents.filter(\.connected).map(\.host)).isSuperset(of: hosts) { return answered }
            }
            guard ContinuousClock.now < end else {
                throw LabError.timedOut("waiting for the manager and its agents", detail: Self.said(said))
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    // MARK: The command line

    /// As `Lab.holdfast`, but not for ever.
    func holdfast(_ arguments: [String]) async throws -> CommandResult {
        let tool = try ProductExecutables(lab.configuration).path(of: "holdfast")
        return try await lab.run(["timeout", "100", tool] + arguments, in: .manager)
    }

    static func said(_ result: CommandResult) -> String {
        let text = result.standardError.isEmpty ? result.standardOutput : result.standardError
        return "exit code \(result.status), \(text.split(separator: "\n").suffix(3).joined(separator: " "))"
    }
}
