import Logging
import NIOConcurrencyHelpers
import Testing

@testable import HostAgent

@Suite struct WriteErrorWatchTests {
    @Test func aRestoredMachineIsWokenAgainAndAgainAlsoWhenTheHypervisorIsAwayForAMoment() async {
        let hypervisor = FakeHypervisor([])
        let watch = WriteErrorWatch(
            hypervisor: hypervisor, logger: Logger(label: "test"), period: .milliseconds(1), span: .seconds(1))
        await watch.begin("uuid-a").value
        // After the second look, which fails, there is a third.
        #expect(hypervisor.wakings.withLockedValue { $0["uuid-a"] ?? 0 } > 2)
    }
}
