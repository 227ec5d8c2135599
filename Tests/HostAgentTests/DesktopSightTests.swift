import Hypervisor
import NIOConcurrencyHelpers
import Testing

@testable import HostAgent

@Suite("What the hypervisors of a desktop show together") struct DesktopSightTests {
    @Test("One that hangs or is away is told, and hides no VM of another")
    func outages() async {
        let away = FakeHypervisor([.sample("b")], name: "away")
        away.isAway.withLockedValue { $0 = true }
        let drivers = DesktopHypervisors([SilentDriver(), FakeHypervisor([.sample("a")], name: "sound"), away])
        let sight = await DesktopSight.of(drivers, within: .milliseconds(100))
        #expect(sight.machines.map(\.name) == ["a"])
        #expect(sight.blindness == nil)
        #expect(sight.parts.map(\.driver.name) == ["virtualbox", "sound", "away"])
        #expect(sight.offers["driver"] == "virtualbox,sound,away")
        #expect(sight.offers["virtualbox.silence"]?.contains("VBoxSVC") == true)
        #expect(sight.offers["away.fault"] == "away")
        #expect(!sight.offers.keys.contains { $0.hasPrefix("sound.") })
    }

    @Test("Where none shows anything the first reason is given")
    func blindness() async {
        let away = FakeHypervisor([], name: "away")
        away.isAway.withLockedValue { $0 = true }
        let sight = await DesktopSight.of(DesktopHypervisors([away, SilentDriver()]), within: .milliseconds(100))
        #expect(sight.machines.isEmpty)
        #expect(sight.blindness == .unavailable("away"))
    }

    @Test("Of a VM that two know the one that has a process is shown")
    func twice() async {
        let former = FakeHypervisor([.sample("a", state: .off)], name: "one")
        let present = FakeHypervisor([.sample("a")], name: "two")
        for drivers in [[former, present], [present, former]] {
            let sight = await DesktopSight.of(DesktopHypervisors(drivers), within: .seconds(60))
            #expect(sight.machines.map(\.state) == [.running])
        }
    }

    /// Answers when nobody waits any more.
    private struct SilentDriver: HypervisorDriver {
        let name = "virtualbox"
        func machines() async throws(HypervisorError) -> [VirtualMachine] {
            try? await Task.sleep(for: .seconds(3_600))
            return []
        }
        func machine(_ uuid: String) async throws(HypervisorError) -> VirtualMachine {
            throw .unavailable("It hangs.")
        }
    }
}
