import Foundation
import Hypervisor
import SnapshotProtocol
import SnapshotStore
import Testing

@testable import HostAgent

@Suite("What an agent refuses before anything is frozen")
struct PreflightTests {
    private let root: String

    init() throws {
        root = NSTemporaryDirectory() + "holdfast-preflight-\(UUID().uuidString)"
        try DirectoryRepository.create(at: root + "/repository")
    }

    private func configuration(allow: [String] = ["*"], repository: String? = nil) -> AgentConfiguration {
        AgentConfiguration(
            host: HostName("desktop-1"), state: root + "/state", repository: repository ?? root + "/repository",
            storage: root + "/storage", allow: allow)
    }

    private func refusals(
        of machine: VirtualMachine, planned: String? = nil, configuration: AgentConfiguration
    ) async throws -> [Failure] {
        let member = PlannedMember(
            name: MemberName(machine.name), host: configuration.host, machine: planned ?? machine.uuid,
            nics: [MemberNIC(mac: "52:54:00:00:00:01")])
        do {
            _ = try await MemberPreflight(configuration: configuration, hypervisor: FakeHypervisor([machine]))
                .check([member])
            return []
        } catch let refusals as Refusals {
            try? FileManager.default.removeItem(atPath: root)
            return refusals.failures
        }
    }

    @Test("A running VM on a tap, with room, is let through")
    func letThrough() async throws {
        #expect(try await refusals(of: .sample("vm"), configuration: configuration()).isEmpty)
        try FileManager.default.removeItem(atPath: root)
    }

    @Test(
        "A VM that does not run is refused",
        arguments: [VirtualMachine.State.paused, .off, .other])
    func notRunning(state: VirtualMachine.State) async throws {
        let found = try await refusals(of: .sample("vm", state: state), configuration: configuration())
        #expect(found.map(\.code) == [.machineNotRunning])
        #expect(found[0].message.contains(state.rawValue))
    }

    @Test("A NIC without a tap is refused by its address")
    func noTap() async throws {
        let found = try await refusals(
            of: .sample("vm", tap: nil, bridge: nil), configuration: configuration())
        #expect(found.map(\.code) == [.interfaceWithoutTap])
        #expect(found[0].message.contains("52:54:00:00:00:01"))
    }

    @Test("A VM that its hypervisor does not know is refused")
    func unknown() async throws {
        let found = try await refusals(of: .sample("vm"), planned: "uuid-other", configuration: configuration())
        #expect(found.map(\.code) == [.unknownMachine])
    }

    @Test("A VM that the owner does not allow is refused")
    func notAllowed() async throws {
        let found = try await refusals(of: .sample("vm"), configuration: configuration(allow: ["other"]))
        #expect(found.map(\.code) == [.noRights])
    }

    @Test("Too little room is foreseen, with the figures")
    func noSpace() async throws {
        let found = try await refusals(of: .sample("vm", memory: 1 << 60), configuration: configuration())
        #expect(found.map(\.code) == [.noSpace])
        #expect(found[0].message.contains("MiB free"))
    }

    @Test("A repository that is not there is refused")
    func noRepository() async throws {
        let found = try await refusals(
            of: .sample("vm"), configuration: configuration(repository: root + "/elsewhere"))
        #expect(found.count == 1)
        #expect([.repositoryNotWritable, .notFound].contains(found[0].code), "\(found)")
    }
}
