import SnapshotProtocol

/// Runs schedules by their seeds.
package enum Simulation {
    package struct Result: Sendable {
        package let sealed: Bool
        /// Sealed in colour mode.
        package let coloured: Bool
        /// Sealed in hold mode, after the epoch had begun in colour mode.
        package let fellBack: Bool
        package let restored: Bool
        package let faults: Int
        package let packets: Int
        package let violations: [Violation]
    }

    package static func run(seed: UInt64, mutant: Mutant? = nil) -> Result {
        let scenario = Scenario(seed: seed)
        let world = finished(scenario, mutant)
        var restored = false
        if case .restored = world.restoring.outcome { restored = true }
        return Result(
            sealed: world.manifestListed, coloured: world.manifestListed && world.sealedMode == .colour,
            fellBack: world.manifestListed && world.sealedMode != scenario.mode, restored: restored,
            faults: scenario.faults.count,
            packets: world.packets.count,
            violations: world.violations)
    }

    /// The history of a schedule for people, with its violations at the end.
    package static func trace(seed: UInt64, mutant: Mutant? = nil) -> [String] { trace(Scenario(seed: seed), mutant) }

    /// The smallest schedule found that breaks the same promise as `seed`, as a trace.
    package static func shrunkTrace(seed: UInt64, mutant: Mutant? = nil) -> [String] {
        shrunk(seed: seed, mutant: mutant).map { trace($0, mutant) } ?? []
    }

    /// nil when `seed` breaks no promise.
    static func shrunk(seed: UInt64, mutant: Mutant?) -> Scenario? {
        let scenario = Scenario(seed: seed)
        guard let invariant = finished(scenario, mutant).violations.first?.invariant else { return nil }
        return scenario.shrunk { finished($0, mutant).violations.contains { $0.invariant == invariant } }
    }

    private static func trace(_ scenario: Scenario, _ mutant: Mutant?) -> [String] {
        let world = finished(scenario, mutant, tracing: true)
        return scenario.summary + world.trace + world.violations.map { "VIOLATION \($0)" }
    }

    static func finished(_ scenario: Scenario, _ mutant: Mutant?, tracing: Bool = false) -> World {
        let world = World(scenario, mutant: mutant, tracing: tracing)
        world.run()
        HistoryChecker(world: world).check()
        guard world.manifestListed, world.violations.isEmpty else { return world }
        world.restore()
        RestoreChecker(world: world).check()
        return world
    }
}
