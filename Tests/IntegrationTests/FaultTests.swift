import DesktopLab
import Foundation
import Testing

@Suite("Faults on real guests", .serialized, .enabled(if: isRoot))
struct FaultTests {
    /// Each day another third of the table; `THIRD=0`, `1` or `2` chooses.
    private static var third: Int {
        if let chosen = ProcessInfo.processInfo.environment["THIRD"].flatMap({ Int($0) }), (0...2).contains(chosen) {
            return chosen
        }
        return Int(Date().timeIntervalSince1970 / 86_400) % 3
    }

    @Test("Whatever goes wrong in whatever phase, the guests run on and the next snapshot is sealed")
    func third() async throws {
        let third = Self.third
        print("faults: third \(third) of 0, 1, 2; again with THIRD=\(third)")
        let campaign = FaultCampaign(
            configuration: FaultCampaign.configuration(directory: "/var/lib/holdfast-it-fault", hypervisor: .libvirt),
            evidence: ".build/faults/logs"
        ) { print("faults: \($0)") }
        let report = FaultReport(third: third, results: try await campaign.run(FaultCase.third(third)))
        print(report.table)
        #expect(report.cases == FaultCase.third(third).count)
        for result in report.results {
            #expect(result.held, "\(result.subject): \(result.shortcomings.joined(separator: " "))")
        }
    }
}
