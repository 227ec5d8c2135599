import Foundation

/// How a lab's guests and packet filters are at one moment, asked of those who must know: hypervisor, the packet filter, and
/// the table of processes.
package struct LabCondition: Sendable {
    /// What nobody must be left with, one sentence each.
    package var complaints: [String] = []
    /// Machines whose QEMU lives, with their desktops.
    package var alive: [String: Int] = [:]

    package static func look(at lab: Lab) async -> LabCondition {
        var condition = LabCondition()
        await withTaskGroup(of: [String].self) { group in
            for desktop in lab.desktops.map(\.number) {
                group.addTask { await rules(of: lab, desktop) }
                group.addTask { await states(of: lab, desktop) }
            }
            for await complaints in group { condition.complaints += complaints }
        }
        condition.complaints.sort()
        for machine in lab.machines {
            let desktops = lab.desktops(running: machine.name)
            if desktops.count > 1 { condition.complaints.append("\(machine.name) runs on two desktops.") }
            condition.alive[machine.name] = desktops.first
        }
        return condition
    }

    private static func rules(of lab: Lab, _ desktop: Int) async -> [String] {
        guard let saved = try? await lab.run(["iptables-save"], in: .desktop(desktop)), saved.succeeded else {
            return ["The packet filter of desktop \(desktop) cannot be read."]
        }
        return saved.standardOutput.split(separator: "\n").filter {
            $0.contains("NFQUEUE") || $0.hasPrefix("-A HOLDFAST")
        }.map { "Desktop \(desktop) has the rule \($0)." }
    }

    private static func states(of lab: Lab, _ desktop: Int) async -> [String] {
        let alive = lab.machines.filter { lab.emulator(of: $0.name, on: desktop) != nil }.map(\.name)
        guard let states = try? await lab.states(on: desktop) else {
            return ["The hypervisor of desktop \(desktop) does not answer."]
        }
        return states.filter { $0.value != "running" && $0.value != "shut off" }
            .map { "\($0.key) is \($0.value) on desktop \(desktop)." }
            + alive.filter { states[$0] == nil || states[$0] == "shut off" }
            .map { "\($0) lives on desktop \(desktop), but its hypervisor says it is \(states[$0] ?? "unknown")." }
    }
}

/// Looks at a lab again and again, and remembers when there was something to complain of.
package actor ConditionWatch {
    private let lab: Lab
    private var spells: [(from: ContinuousClock.Instant, to: ContinuousClock.Instant?, complaints: [String])] = []
    private var looks: [ContinuousClock.Instant] = []
    private var task: Task<Void, Never>?

    package init(lab: Lab) { self.lab = lab }

    package func start() {
        task = Task {
            while !Task.isCancelled {
                let began = ContinuousClock.now
                let condition = await LabCondition.look(at: self.lab)
                // Told to stop meanwhile, the tools were ended: what they said counts for nothing.
                if Task.isCancelled { return }
                self.note(condition.complaints, began)
                try? await Task.sleep(for: .milliseconds(120))
            }
        }
    }

    package func stop() async {
        task?.cancel()
        await task?.value
    }

    private func note(_ complaints: [String], _ began: ContinuousClock.Instant) {
        looks.append(began)
        if complaints.isEmpty {
            if let last = spells.indices.last, spells[last].to == nil { spells[last].to = .now }
        } else if let last = spells.indices.last, spells[last].to == nil {
            spells[last].complaints = complaints
        } else {
            spells.append((began, nil, complaints))
        }
    }

    package var isClean: Bool { !looks.isEmpty && spells.last.map { $0.to != nil } ?? true }
    package var complaints: [String] { isClean ? [] : spells.last?.complaints ?? ["Nobody has looked yet."] }
    /// Whether somebody has looked since then, and found nothing.
    package func isClean(since instant: ContinuousClock.Instant) -> Bool {
        isClean && (looks.last.map { $0 >= instant } ?? false)
    }

    /// When the last spell ended that the fault can be blamed for, if there was one after `start`, and what there was to
    /// complain of at its end. What begins after a clean look and is over within `budget` is the work of a job that goes
    /// on.
    package func recovered(
        after start: ContinuousClock.Instant, budget: Duration
    ) -> (at: ContinuousClock.Instant, complaints: [String])? {
        let blamed = spells.filter { spell in
            let end = spell.to ?? .now
            guard end > start else { return false }
            let isOwn = looks.contains { $0 > start && $0 < spell.from }
            return !(isOwn && end - spell.from < budget)
        }
        return blamed.last.map { ($0.to ?? .now, $0.complaints) }
    }
}
