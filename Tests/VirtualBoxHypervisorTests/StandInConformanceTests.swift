import Glibc
import HypervisorConformance
import Testing

/// With the stand-in, for this is not VirtualBox, and a real guest.
@Suite(.serialized, .enabled(if: getuid() == 0), StandInScope()) struct StandInConformanceTests {
    @Test(.timeLimit(.minutes(5)), arguments: Obligation.allCases) func meets(obligation: Obligation) async throws {
        try await Conformance().check(obligation, on: StandInFixture(try #require(StandInScope.desktop)))
    }
}
