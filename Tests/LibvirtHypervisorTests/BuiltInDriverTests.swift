import CLibvirt
import Hypervisor
import HypervisorConformance
import Logging
import NIOConcurrencyHelpers
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

    /// VMs that come, go, start and stop in the middle of every call: only errors of the contract, and half a list never.
    @Test(.timeLimit(.minutes(1))) func machinesMayComeAndGo() async throws {
        let connection = LibvirtConnection(uri: "test:///default")
        let uuid = "11111111-2222-3333-4444-555555555555"
        let xml = """
            <domain type='test'><name>fleeting</name><uuid>\(uuid)</uuid><memory>8192</memory>\
            <os><type>hvm</type></os></domain>
            """
        let coming = Task {
            for _ in 0..<400 {
                try await connection.run { handle throws(HypervisorError) in
                    guard let defined = virDomainDefineXML(handle.pointer, xml) else { return }
                    virDomainCreate(defined)
                    virDomainSuspend(defined)
                    virDomainDestroy(defined)
                    virDomainUndefine(defined)
                    virDomainFree(defined)
                }
            }
        }
        let stopped = NIOLockedValueBox(false)
        let looking = Task {
            var seen: Set<String> = []
            while !stopped.withLockedValue({ $0 }) {
                #expect(try await driver.machines().contains { $0.name == "test" })
                for call in [
                    { _ = try await driver.machine(uuid) }, { _ = try await driver.description(of: uuid) },
                    { try await driver.resume(uuid) }, { try await driver.destroy(uuid) },
                    { try await driver.endWriteError(uuid) },
                ] as [@Sendable () async throws -> Void] {
                    do {
                        try await call()
                        seen.insert("done")
                    } catch let error as HypervisorError {
                        switch error {
                        case .unknownMachine: seen.insert("unknown")
                        case .notRunning: seen.insert("off")
                        default: Issue.record("\(error)")
                        }
                    }
                }
            }
            return seen
        }
        try await coming.value
        stopped.withLockedValue { $0 = true }
        #expect(try await looking.value.isSuperset(of: ["done", "unknown"]))
        #expect(try await driver.machines().map(\.name) == ["test"])
    }
}
