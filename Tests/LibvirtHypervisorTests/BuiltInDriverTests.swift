import Hypervisor
import Logging
import Testing

@testable import LibvirtHypervisor

/// Against the driver that libvirt has for tests: no daemon, no rights, one VM called `test`.
@Suite struct BuiltInDriverTests {
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

    private func isUnknown(_ error: HypervisorError?) -> Bool {
        if case .unknownMachine = error { true } else { false }
    }

    @Test func anUnknownVMIsCalledThat() async throws {
        #expect(isUnknown(await #expect(throws: HypervisorError.self) { try await driver.machine(nobody) }))
        #expect(isUnknown(await #expect(throws: HypervisorError.self) { try await driver.description(of: nobody) }))
        await #expect(throws: HypervisorError.self) { try await driver.machine("not a UUID") }
    }

    @Test func destroyingAnUnknownVMIsFine() async throws {
        try await driver.destroy(nobody)
    }

    @Test func aDaemonThatIsNotThereIsUnavailableAndSaysWhatToDo() async throws {
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

    @Test func loadingADescriptionThatDoesNotFitIsRefused() async throws {
        for description in [
            "", "<domain/>", "<domain><uuid>00000000-0000-0000-0000-00000000beef</uuid></domain>",
            "<!DOCTYPE d []><domain><uuid>\(nobody)</uuid></domain>",
        ] {
            let request = LoadRequest(
                uuid: nobody, name: "vm", image: "/nonexistent", description: description, disks: [:])
            let error = await #expect(throws: HypervisorError.self) { try await driver.load(request) }
            if case .cannotLoad = error { continue }
            Issue.record("\(description): \(String(describing: error))")
        }
        #expect(try await driver.machines().count == 1)
    }
}
