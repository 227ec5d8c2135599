import DesktopLab
import Glibc
import HypervisorConformance
import Testing

/// With a real libvirtd and a real guest.
@Suite(.serialized, .enabled(if: getuid() == 0), LabScope()) struct LibvirtConformanceTests {
    @Test(.timeLimit(.minutes(5)), arguments: Obligation.allCases) func meets(obligation: Obligation) async throws {
        try await Conformance().check(obligation, on: try LibvirtFixture(try #require(LabScope.lab)))
    }
}
