import Foundation
import Glibc
import Hypervisor
import Logging
import NIOConcurrencyHelpers
import PacketGate
import SnapshotProtocol
import SnapshotStore
import Testing
import WireProtocol

@testable import HostAgent

/// What an agent makes of what it sees. With real namespaces and guests: DoctorTests of the integration.
@Suite("What an agent says of its desktop") struct DesktopExaminationTests {
    private let root: String

    init() throws {
        root = NSTemporaryDirectory() + "holdfast-examination-\(UUID().uuidString)"
        try DirectoryRepository.create(at: root + "/repository")
    }

    private struct Gate: GateExaminer {
        func inspectQueues(members: Int) -> [(number: UInt16, failure: GateError?)] { [(7_100, nil)] }
        func inspectBridge(_ name: String) throws(GateError) {}
    }

    private func examination(
        _ hypervisor: any HypervisorDriver, allow: [String] = ["*"], trials: DesktopExamination.Trials? = nil
    ) -> DesktopExamination {
        DesktopExamination(
            configuration: AgentConfiguration(
                host: HostName("pc1"), state: root + "/state", repository: root + "/repository",
                storage: root + "/storage", allow: allow),
            hypervisor: hypervisor, gate: Gate(), trials: trials ?? .room(TrialRoom()),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func clean() { try? FileManager.default.removeItem(atPath: root) }

    private func problems(_ findings: [Finding]) -> [Finding] {
        // Those of the machine on which this runs are another test's.
        let own: Set = ["rights", "kernel", "packet-filter", "firewall"]
        return findings.filter { $0.level != .ok && !own.contains($0.check) }
    }

    private func disk(_ content: String = "") throws -> String {
        let path = root + "/vda.qcow2"
        try content.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    @Test("A member that its owner does not allow is a blocker by name, and no other VM is told of")
    func allowList() async throws {
        defer { clean() }
        let hypervisor = FakeHypervisor([.sample("secret"), .sample("mine", state: .off)])
        let found = problems(await examination(hypervisor, allow: ["mine"]).findings(about: ["secret"]))
        #expect(found.map(\.check) == ["allow-list"])
        #expect(found.map(\.subject) == [.machine("secret", on: HostName("pc1"))])
        let all = await examination(hypervisor, allow: ["mine"]).findings(about: [])
        #expect(!all.contains { ($0.text + $0.remedy).contains("secret") })
        #expect(!all.contains { $0.subject.machine == "secret" })
        let none = problems(await examination(hypervisor, allow: []).findings(about: []))
        #expect(none.map(\.check) == ["allow-list"])
        #expect(none.map(\.level) == [.warning])
    }

    @Test("One driver out of order hides only its own VMs, and is named")
    func parts() async throws {
        defer { clean() }
        let found = await examination(TwoDrivers(sound: FakeHypervisor([.sample("vm", state: .off)]))).findings(
            about: [])
        let hypervisors = found.filter { $0.check == "hypervisor" }
        #expect(hypervisors.map(\.level) == [.ok, .blocker])
        #expect(found.contains { $0.subject.machine == "vm" })
        #expect(problems(found).count == 1)
    }

    @Test("A disk that is missing, or no plain file, is a blocker, and no cut is tried out")
    func disks() async throws {
        defer { clean() }
        let missing = FakeHypervisor([.sample("vm", disk: root + "/gone")])
        #expect(problems(await examination(missing).findings(about: [])).map(\.check) == ["disk"])
        let device = FakeHypervisor([.sample("vm", disk: "/dev/null")])
        #expect(problems(await examination(device).findings(about: [])).map(\.check) == ["disk"])
    }

    @Test(
        "A cut that cannot be prepared is a blocker with the driver's words; one that is given up leaves the VM alone")
    func cuts() async throws {
        defer { clean() }
        let refusing = FakeHypervisor([.sample("vm", disk: try disk())])
        let found = problems(await examination(refusing).findings(about: []))
        #expect(found.map(\.check) == ["cut"])
        #expect(found.map(\.text) == ["This hypervisor cuts nothing."])
        let pausing = PausingDriver(machine: .sample("vm", disk: try disk()))
        let warned = problems(await examination(pausing).findings(about: []))
        #expect(warned.map(\.check) == ["cut"])
        #expect(warned.map(\.level) == [.warning])
        #expect(warned.first?.text.contains("its memory is shared") == true)
        #expect(pausing.course.withLockedValue { $0 } == ["prepare", "abandon"])
    }

    @Test("Beside an epoch no cut is tried out, which is said")
    func besideAnEpoch() async throws {
        defer { clean() }
        let room = TrialRoom()
        let driver = PausingDriver(machine: .sample("vm", disk: try disk()))
        let examination = examination(driver, trials: .room(room))
        await room.job {
            let found = problems(await examination.findings(about: []))
            #expect(found.map(\.check) == ["cut"])
            #expect(found.map(\.level) == [.warning])
        }
        #expect(driver.course.withLockedValue { $0 }.isEmpty)
    }

    @Test("A paused VM is a blocker, but not while an epoch may have paused it, nor right after it")
    func pausedByAnEpoch() async throws {
        defer { clean() }
        let room = TrialRoom()
        let paused = FakeHypervisor([.sample("vm", state: .paused)])
        let examination = examination(paused, trials: .room(room))
        await room.job {
            let found = problems(await examination.findings(about: []))
            #expect(found.map { "\($0.level) \($0.check)" } == ["warning vm-state"])
        }
        let found = problems(await examination.findings(about: []))
        #expect(found.map { "\($0.level) \($0.check)" } == ["blocker vm-state"])
        let mark = room.mark
        await room.job {}
        #expect(!room.isUndisturbed(since: mark))
        #expect(room.isUndisturbed(since: room.mark))
    }

    // MARK: Drivers

    private struct TwoDrivers: HypervisorDriver {
        let sound: FakeHypervisor
        let name = "two"
        var parts: [any HypervisorDriver] { [sound, AbsentDriver()] }
        func machines() async throws(HypervisorError) -> [VirtualMachine] { try await sound.machines() }
        func machine(_ uuid: String) async throws(HypervisorError) -> VirtualMachine { try await sound.machine(uuid) }
    }

    private struct AbsentDriver: HypervisorDriver {
        let name = "absent"
        func machines() async throws(HypervisorError) -> [VirtualMachine] { throw .unavailable("It is away.") }
        func machine(_ uuid: String) async throws(HypervisorError) -> VirtualMachine {
            throw .unavailable("It is away.")
        }
    }

    /// Its list is older than what it says of one VM.
    private struct MergingDriver: HypervisorDriver {
        let name = "merging"
        let before: VirtualMachine
        let after: VirtualMachine
        func machines() async throws(HypervisorError) -> [VirtualMachine] { [before] }
        func machine(_ uuid: String) async throws(HypervisorError) -> VirtualMachine { after }
    }

    /// Its guests stay paused until their image is saved.
    private final class PausingDriver: HypervisorDriver {
        let name = "pausing"
        let course = NIOLockedValueBox<[String]>([])
        private let only: VirtualMachine

        init(machine: VirtualMachine) { only = machine }

        func machines() async throws(HypervisorError) -> [VirtualMachine] { [only] }
        func machine(_ uuid: String) async throws(HypervisorError) -> VirtualMachine { only }
        func prepareCut(
            of uuid: String, workspace: String, sink: any ByteSink
        ) async throws(HypervisorError) -> any PreparedCut {
            course.withLockedValue { $0.append("prepare") }
            return Cut(driver: self)
        }

        private struct Cut: PreparedCut {
            let driver: PausingDriver
            var method: CutMethod { .paused(reason: "its memory is shared") }
            var frozenDisks: [FrozenDisk] { [] }
            func perform(
                whileFrozen: @escaping @Sendable () throws -> Void
            ) async throws(HypervisorError) -> CutTimes { throw .failed("Nobody shall be frozen.") }
            func imageComplete() async throws(HypervisorError) { throw .failed("There is no image.") }
            func finish() async { driver.course.withLockedValue { $0.append("finish") } }
            func abandon() async { driver.course.withLockedValue { $0.append("abandon") } }
        }
    }
}

/// What these drivers are never asked for.
extension HypervisorDriver {
    func description(of uuid: String) async throws(HypervisorError) -> String { throw .unsupported("Not here.") }
    func prepareCut(
        of uuid: String, workspace: String, sink: any ByteSink
    ) async throws(HypervisorError) -> any PreparedCut { throw .unsupported("Not here.") }
    func load(_ request: LoadRequest) async throws(HypervisorError) -> VirtualMachine {
        throw .unsupported("Not here.")
    }
    func resume(_ uuid: String) async throws(HypervisorError) {}
    func endWriteError(_ uuid: String) async throws(HypervisorError) {}
    func keep(_ uuid: String) async throws(HypervisorError) {}
    func destroy(_ uuid: String) async throws(HypervisorError) {}
    func announce(_ uuid: String) async throws(HypervisorError) {}
    func recover(workspace: String) async throws(HypervisorError) {}
}
