import Foundation
import Hypervisor
import Logging
import NIOConcurrencyHelpers
import Testing

@testable import HostAgent

@Suite("An agent that was killed during a restore")
struct RestoreJournalTests {
    private let state: String

    init() throws {
        state = NSTemporaryDirectory() + "holdfast-journal-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: state + "/disks", withIntermediateDirectories: true)
        try RestoreJournal(name: "s-1", members: [.init(machine: "uuid-vm", folder: state + "/disks")]).write(in: state)
    }

    private func recover(_ machines: [VirtualMachine], committed: Bool = false) async throws -> [String] {
        if committed {
            var journal = try #require(RestoreJournal.all(in: state).first)
            journal.committed = true
            try journal.write(in: state)
        }
        let hypervisor = FakeHypervisor(machines)
        try await RestoreJournal.recover(in: state, hypervisor: hypervisor, logger: Logger(label: "test"))
        #expect(RestoreJournal.all(in: state).isEmpty)
        return hypervisor.calls.withLockedValue { $0 }
    }

    private var disksThere: Bool { FileManager.default.fileExists(atPath: state + "/disks") }

    @Test("A VM that was loaded only goes, with its disks")
    func paused() async throws {
        let calls = try await recover([.sample("vm", state: .paused, disk: state + "/disks/vda.qcow2")])
        #expect(calls == ["destroy uuid-vm"])
        #expect(!disksThere)
        try FileManager.default.removeItem(atPath: state)
    }

    @Test("A VM that runs goes as long as the manager has not said that those of all other desktops do")
    func running() async throws {
        let calls = try await recover([.sample("vm", disk: state + "/disks/vda.qcow2")])
        #expect(calls == ["destroy uuid-vm"])
        #expect(!disksThere)
        try FileManager.default.removeItem(atPath: state)
    }

    @Test("A VM that was switched off keeps its disks")
    func off() async throws {
        #expect(try await recover([.sample("vm", state: .off, disk: state + "/disks/vda.qcow2")]).isEmpty)
        #expect(disksThere)
        try FileManager.default.removeItem(atPath: state)
    }

    @Test("A VM of a restore that was complete stays")
    func complete() async throws {
        let calls = try await recover([.sample("vm", disk: state + "/disks/vda.qcow2")], committed: true)
        #expect(calls == ["keep uuid-vm"])
        #expect(disksThere)
        try FileManager.default.removeItem(atPath: state)
    }

    @Test("A VM that its owner paused, on disks of its own, is not touched")
    func foreign() async throws {
        #expect(try await recover([.sample("vm", state: .paused, disk: "/elsewhere/vda.qcow2")]).isEmpty)
        try FileManager.default.removeItem(atPath: state)
    }

    @Test("Disks of a VM that was never loaded go")
    func neverLoaded() async throws {
        #expect(try await recover([]).isEmpty)
        #expect(!disksThere)
        try FileManager.default.removeItem(atPath: state)
    }

    @Test("A damaged journal is passed over")
    func damaged() async throws {
        try Data("{".utf8).write(to: URL(filePath: state + "/x.restore.json"))
        #expect(try await recover([]).isEmpty)
        try FileManager.default.removeItem(atPath: state)
    }
}
