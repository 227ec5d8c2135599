import DesktopLab
import Testing

@Suite("The table of faults")
struct FaultCaseTests {
    @Test("Every fault meets every phase once")
    func whole() {
        #expect(FaultCase.all.count == Fault.allCases.count * FaultCase.columns.count)
        #expect(Set(FaultCase.all).count == FaultCase.all.count)
    }

    @Test("The three thirds are the whole table, and each has every fault and every phase")
    func thirds() {
        let thirds = (0...2).map { FaultCase.third($0) }
        #expect(thirds.flatMap { $0 }.count == FaultCase.all.count)
        #expect(Set(thirds.flatMap { $0 }) == Set(FaultCase.all))
        for third in thirds {
            #expect(Set(third.map(\.fault)) == Set(Fault.allCases))
            #expect(Set(third.map(\.column)) == Set(FaultCase.all.map(\.column)))
        }
    }

    @Test("A case is named by fault, phase or both; a phase of a restore is not taken for that of a snapshot")
    func names() {
        let finishing = FaultCase(.agentKilled, .restore, "finishing")
        #expect(finishing.description == "agent-killed@restore-finishing")
        #expect(finishing.matches("agent-killed"))
        #expect(finishing.matches("@restore-finishing"))
        #expect(finishing.matches("agent-killed@restore-finishing"))
        #expect(!finishing.matches("agent-killed@finishing"))
        #expect(!finishing.matches("agent-stopped"))
        #expect(!finishing.matches(""))
    }
}

@Suite("The report on faults")
struct FaultReportTests {
    private func result(_ fault: Fault, _ phase: String, held: Bool, recovery: Double, landed: String) -> FaultResult {
        var result = FaultResult(FaultCase(fault, .snapshot, phase))
        result.held = held
        result.recovery = recovery
        result.landed = landed
        if !held { result.shortcomings = ["vm-1 is paused on desktop 1."] }
        return result
    }

    @Test("It counts what held, what landed and the worst recovery, and its table says which case did not hold and why")
    func counts() {
        let report = FaultReport(
            third: 1,
            results: [
                result(.partition, "arming", held: true, recovery: 1_234, landed: "arming"),
                result(.partition, "cutting", held: true, recovery: 90, landed: "releasing"),
                result(.flood, "arming", held: false, recovery: 6_000, landed: "arming"),
            ])
        #expect(report.cases == 3)
        #expect(report.held == 2)
        #expect(report.landed == 2)
        #expect(report.worstRecovery == 6_000)
        let lines = report.table.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
        #expect(lines.contains("arming cutting"))
        #expect(lines.contains("partition 1.2 0.1*"))
        #expect(lines.contains("udp-flood NO"))
        #expect(lines.contains("udp-flood@arming: vm-1 is paused on desktop 1."))
        #expect(lines.contains("2 of 3 held, worst recovery 6.0 s"))
    }
}
