import Testing

@testable import SimulatedCluster

struct HistoryTests {
    @Test func oneSeedGivesOneHistory() {
        for seed in UInt64(1)...40 {
            let first = Simulation.trace(seed: seed)
            #expect(first.count > 20)
            #expect(first == Simulation.trace(seed: seed))
        }
        #expect(Simulation.trace(seed: 1) != Simulation.trace(seed: 2))
    }

    @Test func noHistoryBreaksAPromise() {
        var sealed = 0
        var restored = 0
        for seed in UInt64(1)...2_000 {
            let result = Simulation.run(seed: seed)
            if result.sealed { sealed += 1 }
            if result.restored { restored += 1 }
            if let violation = result.violations.first { Issue.record("seed \(seed): \(violation)") }
        }
        // Histories in which nothing is ever sealed would prove nothing.
        #expect(sealed > 600)
        #expect(restored > 400)
    }

    @Test func everyHistoryHasFourMembersTrafficAndAFault() {
        for seed in UInt64(1)...2_000 {
            let scenario = Scenario(seed: seed)
            #expect(scenario.placement.count >= 4)
            #expect(!scenario.writes.isEmpty)
            #expect(!scenario.faults.isEmpty)
        }
    }

    @Test func everyKindOfFaultIsAmongThem() {
        var missing = Set(Fault.Kind.allCases)
        for seed in UInt64(1)...2_000 {
            let scenario = Scenario(seed: seed)
            missing.subtract(scenario.faults.map(\.kind))
            missing.subtract(scenario.restoreFaults.map(\.kind))
        }
        #expect(missing.isEmpty)
    }
}
