import SnapshotProtocol
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
        var coloured = 0
        var fellBack = 0
        var restored = 0
        for seed in UInt64(1)...2_000 {
            let result = Simulation.run(seed: seed)
            if result.sealed { sealed += 1 }
            if result.coloured { coloured += 1 }
            if result.fellBack { fellBack += 1 }
            if result.restored { restored += 1 }
            if let violation = result.violations.first { Issue.record("seed \(seed): \(violation)") }
        }
        // Histories in which nothing is ever sealed would prove nothing.
        #expect(sealed > 600)
        #expect(coloured > 250)
        #expect(fellBack > 80)
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

    @Test func aSlowMemberIsNoReasonToGiveUpAnEpochInColourMode() {
        var due = 0
        for seed in UInt64(1)...20_000 where Scenario(seed: seed).dueMode == .colour {
            due += 1
            #expect(Simulation.run(seed: seed).coloured)
        }
        #expect(due > 20)
    }

    @Test func whereAPathTakesTheColourOffThereIsASnapshotInHoldMode() {
        var due = 0
        for seed in UInt64(1)...10_000 where Scenario(seed: seed).dueMode == .hold {
            due += 1
            #expect(Simulation.run(seed: seed).fellBack)
        }
        #expect(due > 20)
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
