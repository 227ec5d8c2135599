import Foundation
import Hypervisor
import NIOConcurrencyHelpers
import SnapshotProtocol
import Testing

@testable import HostAgent

@Suite struct DesktopHypervisorsTests {
    private func request(driver: String) -> LoadRequest {
        LoadRequest(uuid: "uuid-x", name: "x", image: "/i", description: "", disks: [:], driver: driver)
    }

    @Test func eachCallGoesToTheDriverThatHasTheVM() async throws {
        let one = FakeHypervisor([.sample("a")], name: "one")
        let two = FakeHypervisor([.sample("b")], name: "two")
        let all = DesktopHypervisors([one, two])
        #expect(try await all.machines().map(\.name) == ["a", "b"])
        try await all.resume("uuid-b")
        #expect(one.calls.withLockedValue { $0 }.isEmpty)
        #expect(two.calls.withLockedValue { $0 } == ["resume uuid-b"])
        await #expect(throws: HypervisorError.self) { try await all.machine("uuid-c") }
        try await all.destroy("uuid-c")
    }

    @Test func oneThatIsOutOfOrderHidesItsOwnVMsAlone() async throws {
        let dead = FakeHypervisor([.sample("a")], name: "one")
        dead.isAway.withLockedValue { $0 = true }
        let all = DesktopHypervisors([dead, FakeHypervisor([.sample("b")], name: "two")])
        #expect(try await all.machines().map(\.name) == ["b"])
        #expect(try await all.machine("uuid-b").name == "b")
        // It may be there: nobody can tell, and a restore must not take it for absent.
        await #expect(throws: HypervisorError.unavailable("away")) { try await all.machine("uuid-a") }
        await #expect(throws: HypervisorError.self) { try await DesktopHypervisors([dead]).machines() }
    }

    @Test func aMemberIsLoadedByTheDriverOfItsSnapshot() async throws {
        let one = FakeHypervisor([], loads: .sample("x"), name: "one")
        let two = FakeHypervisor([], loads: .sample("x"), name: "two")
        let all = DesktopHypervisors([one, two])
        _ = try await all.load(request(driver: "two"))
        #expect(one.calls.withLockedValue { $0 }.isEmpty)
        #expect(two.calls.withLockedValue { $0 } == ["load x"])
        // It runs now: not by another one too.
        await #expect(throws: HypervisorError.self) { try await all.load(request(driver: "one")) }
        await #expect(throws: HypervisorError.self) { try await all.load(request(driver: "three")) }
    }

    @Test func aVMThatRunsIsPreferredToOneThatIsOff() async throws {
        let one = FakeHypervisor([.sample("a", state: .off)], name: "one")
        let two = FakeHypervisor([.sample("a")], name: "two")
        let all = DesktopHypervisors([one, two])
        #expect(try await all.machines().map(\.state) == [.running])
        #expect(try await all.machine("uuid-a").state == .running)
    }

    @Test func noTwoDriversShareAWorkspace() {
        let libvirt = FakeHypervisor([], name: "libvirt")
        #expect(DesktopHypervisors.workspace("/w", of: libvirt) == "/w")
        #expect(DesktopHypervisors.workspace("/w", of: FakeHypervisor([], name: "qemu")) == "/w/qemu")
    }
}

@Suite struct HypervisorConfigurationTests {
    private func load(_ text: String) async throws -> AgentConfiguration {
        let file = NSTemporaryDirectory() + "agent-\(UUID().uuidString.prefix(8)).yaml"
        try ("host: pc\nrepository: /r\n" + text).write(toFile: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: file) }
        return try await AgentConfiguration.load(from: file)
    }

    @Test func libvirtAloneIsTheDefault() async throws {
        let configuration = try await load("")
        #expect(configuration.libvirt == "qemu:///system")
        #expect(configuration.qemu == nil)
    }

    @Test func qemuIsNamedBySockets() async throws {
        let configuration = try await load("libvirt: \"\"\nqemu:\n  sockets: [\"/run/vms/*.qmp\"]\n")
        #expect(configuration.libvirt.isEmpty)
        #expect(configuration.qemu?.sockets == ["/run/vms/*.qmp"])
        #expect(configuration.qemu?.machines == "/var/lib/holdfast/machines")
        let folder = try await load("qemu:\n  machines: /m\n")
        #expect(folder.qemu == .init(sockets: [], machines: "/m"))
    }

    @Test(arguments: [
        ("libvirt: \"\"\n", "names no hypervisor"), ("qemu:\n  sockets: [\"vms/*.qmp\"]\n", "absolute path"),
        ("qemu:\n  machines: m\n", "qemu.machines"),
        ("qemu:\n  machines: /\(String(repeating: "m", count: 70))\n", "at most 60 bytes"),
    ])
    func badValuesAreNamed(text: String, reason: String) async throws {
        do {
            _ = try await load(text)
            Issue.record("accepted")
        } catch let failure as Failure {
            #expect(failure.code == .usage && failure.message.contains(reason), "\(failure)")
        }
    }
}
