import Testing

@testable import SimulatedCluster

/// The checker's eyesight: each known defect is seen, at the latest by the seed after which it is known to be.
struct MutantTests {
    @Test(arguments: Mutant.allCases)
    func isCaughtByItsSeed(_ mutant: Mutant) throws {
        let (seed, invariant) = try #require(Self.known[mutant], "Add the seed that `make simulate-mutants` prints.")
        let violations = Simulation.run(seed: seed, mutant: mutant).violations
        #expect(violations.contains { $0.invariant == invariant })
        #expect(Simulation.run(seed: seed).violations.isEmpty)
    }

    @Test(arguments: [
        Mutant.releaseBarrierOmitted, .placeAfterThaw, .gateLeftClosedOnAbort, .holdForgotten, .loadedLeftOnRecovery,
    ])
    func isStillCaughtInTheShrunkHistory(_ mutant: Mutant) throws {
        let (seed, invariant) = try #require(Self.known[mutant])
        let original = Scenario(seed: seed)
        let small = try #require(Simulation.shrunk(seed: seed, mutant: mutant))
        #expect(small.writes.count < original.writes.count)
        #expect(small.faults.count <= original.faults.count)
        #expect(small.placement.count <= original.placement.count)
        #expect(Simulation.finished(small, mutant).violations.contains { $0.invariant == invariant })
        #expect(Simulation.shrunkTrace(seed: seed, mutant: mutant).count < Simulation.trace(seed: seed).count)
    }

    @Test func whatBreaksNoPromiseIsNotShrunk() { #expect(Simulation.shrunk(seed: 1, mutant: nil) == nil) }
}
