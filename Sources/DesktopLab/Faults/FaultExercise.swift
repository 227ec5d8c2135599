import Foundation

/// Runs one case on a lab that is well, and leaves it well again if the product holds.
package struct FaultExercise: Sendable {
    /// Longest time from a fault, or its healing, until all is well.
    package static let limit = Duration.seconds(5)
    /// What is waited for longer than any bound of the product, so that a report says how long it took.
    private static let patience = Duration.seconds(25)

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
        let answered = try await managerAnswers(by: settled + Self.patience)
        while await !watch.isClean(since: settled), ContinuousClock.now < settled + Self.patience {
            try await Task.sleep(for: .milliseconds(20))
        }
        if await !watch.isClean(since: settled) { result.shortcomings += await watch.complaints }
        let budget = Duration.milliseconds(lab.configuration.holdBudget ?? 1_000)
        var recovered = await watch.recovered(after: from, budget: budget) ?? from
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

    private struct Hit: Sendable {
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
            usleep(1_500)
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

    /// When the manager first answered; it is never asked twice when it runs.
    private func managerAnswers(by end: ContinuousClock.Instant) async throws -> ContinuousClock.Instant {
        while true {
            let said = try await holdfast(["agents"])
            if said.succeeded { return .now }
            guard ContinuousClock.now < end else {
                throw LabError.timedOut("waiting for the manager", detail: Self.said(said))
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    // MARK: What is left

    private func emulators() -> [String: Int32] {
        Dictionary(
            uniqueKeysWithValues: lab.machines.compactMap { machine in
                lab.desktops.lazy.compactMap { lab.emulator(of: machine.name, on: $0.number) }.first
                    .map { (machine.name, $0) }
            })
    }

    private func judge(
        _ left: [String: Int32], before: [String: Int32], _ subject: FaultCase, _ hit: Hit,
        into result: inout FaultResult
    ) {
        let old = left.filter { before[$0.key] == $0.value }.keys.sorted()
        let new = left.filter { before[$0.key] != $0.value }.keys.sorted()
        let missing = lab.machines.map(\.name).filter { left[$0] == nil && !hit.dead.contains($0) }
        switch subject.job {
        case .snapshot:
            if !new.isEmpty { result.shortcomings.append("\(new) were started anew.") }
            if !missing.isEmpty { result.shortcomings.append("\(missing) died.") }
        case .restore:
            if !old.isEmpty && !new.isEmpty {
                result.shortcomings.append("\(old) run from the old timeline, \(new) from the new one.")
            }
            // The one way to a part of the new timeline that the protocol states: a host that misses the last word.
            if !new.isEmpty && !missing.isEmpty && result.landed != "finishing" && result.landed != "finished" {
                result.shortcomings.append("Only \(new) run from the new timeline; \(result.outcome)")
            }
            if hit.job.succeeded && new.isEmpty { result.shortcomings.append("Restored, but nothing runs.") }
        }
    }

    /// Those of the dead that the manager still takes for living.
    private func unreported(_ dead: [String]) async throws -> [String] {
        struct Inventory: Decodable {
            struct Machine: Decodable {
                var name: String
                var state: String
            }
            var vms: [Machine]
        }
        let end = ContinuousClock.now + Self.limit
        while true {
            let said = try await holdfast(["vms", "--output", "json"])
            if said.succeeded {
                let inventory = try JSONDecoder().decode(Inventory.self, from: Data(said.standardOutput.utf8))
                let wrong = inventory.vms.filter { dead.contains($0.name) && $0.state != "off" }
                if wrong.isEmpty { return [] }
                if ContinuousClock.now >= end { return wrong.map { "\($0.name) is dead but shown as \($0.state)." } }
            } else if ContinuousClock.now >= end {
                return ["The VMs could not be listed: \(Self.said(said))"]
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    private func longestSilence(since ends: [String: UInt64]) throws -> UInt64 {
        try lab.machines.flatMap { machine in
            try lab.witnessReports(of: machine.name, since: ends[machine.name] ?? 0).flatMap(\.connections)
                .map(\.silence)
        }.max() ?? 0
    }

    // MARK: The next snapshot

    private struct Named: Decodable {
        var id: String
    }

    private func snapshots() async throws -> [String] {
        struct List: Decodable {
            var snapshots: [Named]
        }
        let said = try await holdfast(["snapshot", "list", "--output", "json"])
        guard said.succeeded else {
            throw LabError.commandFailed("holdfast snapshot list", status: "\(said.status)", detail: Self.said(said))
        }
        return try JSONDecoder().decode(List.self, from: Data(said.standardOutput.utf8)).snapshots.map(\.id)
    }

    /// Takes the next snapshot, once; looks for halves of others; keeps the new one alone.
    private func secure(known: Set<String>, base: String, into result: inout FaultResult) async throws -> String {
        struct Answer: Decodable {
            var snapshot: Named
        }
        let began = ContinuousClock.now
        let taken = try await holdfast(["snapshot", "create", cluster, "--output", "json"])
        guard taken.succeeded else {
            result.shortcomings.append("The next snapshot was not sealed: \(Self.said(taken))")
            return base
        }
        result.nextSnapshot = (ContinuousClock.now - began) / .milliseconds(1)
        let next = try JSONDecoder().decode(Answer.self, from: Data(taken.standardOutput.utf8)).snapshot.id

        for snapshot in try await snapshots() where !known.contains(snapshot) {
            let verified = try await holdfast(["snapshot", "verify", snapshot])
            if !verified.succeeded { result.shortcomings.append("\(snapshot) is not whole: \(Self.said(verified))") }
        }
        for room in ["staging", "trash"] {
            let folder = "\(lab.folders.repository)/\(room)"
            let left = try FileManager.default.contentsOfDirectory(atPath: folder)
            if !left.isEmpty { result.shortcomings.append("In the repository's \(room) is left: \(left).") }
        }
        for desktop in lab.desktops {
            let left = try FileManager.default.contentsOfDirectory(atPath: lab.folders.workspace(desktop.number))
            if !left.isEmpty { result.shortcomings.append("Of an epoch is left on \(desktop.name): \(left).") }
        }
        let condition = await LabCondition.look(at: lab)
        result.shortcomings += condition.complaints
        let stalled = try await WitnessProgress(of: lab.machines, in: lab).wait(patience: Self.patience)
        result.shortcomings += stalled
        for snapshot in try await snapshots() where snapshot != next {
            let deleted = try await holdfast(["snapshot", "delete", snapshot])
            if !deleted.succeeded { result.shortcomings.append("\(snapshot) stays: \(Self.said(deleted))") }
        }
        return next
    }

    // MARK: The command line

    /// As `Lab.holdfast`, but not for ever.
    private func holdfast(_ arguments: [String]) async throws -> CommandResult {
        let tool = try ProductExecutables(lab.configuration).path(of: "holdfast")
        return try await lab.run(["timeout", "100", tool] + arguments, in: .manager)
    }

    static func said(_ result: CommandResult) -> String {
        let text = result.standardError.isEmpty ? result.standardOutput : result.standardError
        return "exit code \(result.status), \(text.split(separator: "\n").suffix(3).joined(separator: " "))"
    }
}
