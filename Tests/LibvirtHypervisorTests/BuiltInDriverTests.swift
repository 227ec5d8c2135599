import Hypervisor
import HypervisorConformance
import Logging
import Testing

@testable import LibvirtHypervisor

/// Against the driver that libvirt has for tests: no daemon, no rights, one VM called `test`.
@Suite(.serialized) struct BuiltInDriverTests {
    private let driver = LibvirtDriver(uri: "test:///default", logger: Logger(label: "test"))
    private let nobody = "00000000-0000-0000-0000-00000000dead"

    @Test func theOneVMIsListed() async throws {
        let machines = try await driver.machines()
        #expect(machines.map(\.name) == ["test"])
        let machine = try #require(machines.first)
        #expect(machine.state == .running)
        #expect(machine.memory == 8 << 30)
        #expect(machine.uuid == machine.uuid.lowercased())
        #expect(try await driver.machine(machine.uuid) == machine)
        #expect(try await driver.description(of: machine.uuid).contains("<name>test</name>"))
    }

    @Test(arguments: Obligation.allCases) func meets(obligation: Obligation) async throws {
        try await Conformance().check(obligation, on: try await BuiltInFixture())
    }

    @Test func anAbsentDaemonIsExplained() async throws {
        let absent = LibvirtDriver(
            uri: "qemu+unix:///system?socket=/nonexistent/libvirt-sock", logger: Logger(label: "test"))
        let error = await #expect(throws: HypervisorError.self) { try await absent.machines() }
        guard case .unavailable(let text) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(text.contains("/nonexistent/libvirt-sock"))
        #expect(text.contains("systemctl"))
    }
}
