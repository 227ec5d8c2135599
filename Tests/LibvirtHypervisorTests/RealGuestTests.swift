import DesktopLab
import Foundation
import Glibc
import Hypervisor
import Logging
import NIOConcurrencyHelpers
import Testing

@testable import LibvirtHypervisor

/// With a real libvirtd and a real guest. Each test leaves the guest running on its own disk, or the next one starts it.
@Suite(.serialized, .enabled(if: getuid() == 0), LabScope()) struct RealGuestTests {
    private struct GivenUp: Error {}

    private let lab: Lab
    private let machine: Lab.Machine
    private let driver: LibvirtDriver
    private let workspace: String
    private let disk: String

    init() async throws {
        lab = try #require(LabScope.lab)
        machine = try lab.machine("vm-1")
        driver = Self.driver(of: lab)
        workspace = "\(lab.folders.root)/workspace"
        disk = lab.folders.disk(of: machine.name)
        if try await driver.machine(machine.uuid).state != .running {
            try await driver.destroy(machine.uuid)
            try await lab.startMachine(machine.name)
            try await guestWorks()
        }
    }

    private static func driver(of lab: Lab) -> LibvirtDriver {
        LibvirtDriver(uri: lab.desktops[0].libvirt, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func prepare(_ sink: CollectingSink = CollectingSink()) async throws -> any PreparedCut {
        try await driver.prepareCut(of: machine.uuid, workspace: workspace, sink: sink)
    }

    private func monitor(_ command: String) async throws -> String {
        try await lab.virsh(["qemu-monitor-command", machine.name, command], desktop: 1).standardOutput
    }

    /// The guest says something new: it reports several times a second.
    private func guestWorks() async throws {
        let before = lab.logEnds()[machine.name] ?? 0
        for _ in 0..<600 where (lab.logEnds()[machine.name] ?? 0) <= before {
            try await Task.sleep(for: .milliseconds(50))
        }
        #expect((lab.logEnds()[machine.name] ?? 0) > before, "the guest is silent")
    }

    private func nothingIsLeft(_ location: SourceLocation = #_sourceLocation) throws {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: workspace)) ?? []
        #expect(files.isEmpty, sourceLocation: location)
    }

    /// What every end of a cut must lead to.
    private func allIsAsBefore(_ location: SourceLocation = #_sourceLocation) async throws {
        let now = try await driver.machine(machine.uuid)
        #expect(now.state == .running, sourceLocation: location)
        #expect(now.disks.map(\.path) == [disk], sourceLocation: location)
        let state = MonitorAnswer.runState(in: try await monitor(#"{"execute":"query-status"}"#))
        #expect(state == "running", sourceLocation: location)
        let offered = try await monitor(#"{"execute":"query-migrate-capabilities"}"#)
        #expect(!offered.contains(#"{"state":true,"capability":"background-snapshot"}"#), sourceLocation: location)
        let parameters = try await monitor(#"{"execute":"query-migrate-parameters"}"#)
        #expect(MonitorAnswer.bandwidth(in: parameters) == 128 << 20, "QEMU's default", sourceLocation: location)
        try nothingIsLeft(location)
        try await guestWorks()
    }

    // MARK: After a cut that nobody ended

    @Test func theNextCutIsOfTheVMsOwnDisk() async throws {
        let lost = try await prepare()
        _ = try await lost.perform {}
        try await lost.imageComplete()
        #expect(try await driver.machine(machine.uuid).disks.map(\.path) != [disk])
        let cut = try await Self.driver(of: lab).prepareCut(
            of: machine.uuid, workspace: workspace, sink: CollectingSink())
        _ = try await cut.perform {}
        #expect(cut.frozenDisks.map(\.path) == [disk])
        try await cut.imageComplete()
        await cut.finish()
        try await allIsAsBefore()
    }

    // MARK: A full folder

    /// The guest's state, as QEMU words it, once it is as wanted.
    private func runState(becomes wanted: String) async throws -> String? {
        var state: String?
        for _ in 0..<600 {
            state = MonitorAnswer.runState(in: try await monitor(#"{"execute":"query-status"}"#))
            if state == wanted { break }
            try await Task.sleep(for: .milliseconds(20))
        }
        return state
    }

    @Test(arguments: [false, true])
    func aGuestThatCannotWriteIntoItsOverlayRunsAgainAtTheEnd(givingUp: Bool) async throws {
        let workspace = lab.folders.workspace(1)
        let room = SmallRoom(path: workspace, size: try #require(lab.configuration.rooms).workspace)
        let cut = try await driver.prepareCut(of: machine.uuid, workspace: workspace, sink: CollectingSink())
        defer { try? room.empty() }
        try room.fill()
        _ = try await cut.perform {}
        #expect(try await runState(becomes: "io-error") == "io-error")
        if givingUp {
            await #expect(throws: HypervisorError.self) { try await cut.imageComplete() }
            await cut.abandon()
        } else {
            await cut.finish()
        }
        // Still full: the guest writes into its own disk again.
        try await allIsAsBefore()
        #expect(try FileManager.default.contentsOfDirectory(atPath: workspace).isEmpty)
    }

    /// As a libvirtd leaves it that is killed while it diverts the disks.
    @Test func aBlockNodeOfAnOverlayThatNobodyKnowsGoesWithIt() async throws {
        let workspace = lab.folders.workspace(1)
        let cut = try await driver.prepareCut(of: machine.uuid, workspace: workspace, sink: CollectingSink())
        _ = try await cut.perform {}
        let overlay = try #require(
            FileManager.default.contentsOfDirectory(atPath: workspace).first { $0.hasSuffix(".qcow2") })
        let stray = """
            {"execute":"blockdev-add","arguments":{"driver":"file","node-name":"libvirt-77-storage",\
            "read-only":true,"locking":"off","filename":"\(workspace)/\(overlay)"}}
            """
        let nodes = #"{"execute":"query-named-block-nodes","arguments":{"flat":true}}"#
        for command in [stray, nodes] {
            let said = try await lab.virsh(["qemu-monitor-command", machine.name, command], desktop: 1)
            #expect(said.succeeded, "\(said.standardError)")
            if command == nodes { #expect(said.standardOutput.contains("libvirt-77-storage")) }
        }
        try await cut.imageComplete()
        await cut.finish()
        let left = try await lab.virsh(["qemu-monitor-command", machine.name, nodes], desktop: 1)
        #expect(!left.standardOutput.contains("libvirt-77-storage"))
        #expect(!left.standardOutput.contains(overlay))
        try await allIsAsBefore()
    }

    // MARK: The whole way

    @Test func aCutIsLoadedAgain() async throws {
        let sink = CollectingSink()
        let cut = try await prepare(sink)
        #expect(cut.method == .background)
        #expect(cut.frozenDisks.isEmpty)
        let description = try await driver.description(of: machine.uuid)
        let frozen = NIOLockedValueBox<String?>(nil)
        let pid = lab.emulator(of: machine.name, on: 1)
        let times = try await cut.perform {
            frozen.withLockedValue { $0 = pid.map { "\($0)" } }
        }
        #expect(frozen.withLockedValue { $0 } != nil)
        #expect(times.pause > 0)
        #expect(times.pause <= times.endedAt - times.startedAt)
        #expect(cut.frozenDisks == [FrozenDisk(target: "vda", path: disk, format: "qcow2")])
        try await cut.imageComplete()
        let copy = "\(lab.folders.root)/copy.qcow2"
        let converted = try await lab.run(
            ["qemu-img", "convert", "-U", "-f", "qcow2", "-O", "qcow2", disk, copy], in: .desktop(1))
        try #require(converted.succeeded)
        await cut.finish()
        await cut.finish()
        await cut.abandon()
        try await allIsAsBefore()

        let image = "\(lab.folders.root)/image"
        try Data(sink.collected).write(to: URL(filePath: image))
        defer {
            unlink(image)
            unlink(copy)
        }
        let request = LoadRequest(
            uuid: machine.uuid, name: machine.name, image: image, description: description, disks: ["vda": copy])

        // It runs: loading is refused and does not touch it.
        try await refused(request)
        try await allIsAsBefore()

        // Damaged, foreign, or of another VM: refused, and nothing comes up.
        try await driver.destroy(machine.uuid)
        try await damagedImagesAreRefused(request, bytes: sink.collected)
        for (old, new) in [
            ("/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-system-of-another-host"),
            ("machine='pc", "machine='pc-of-another-age"), ("arch='x86_64'", "arch='s390x'"),
        ] {
            var foreign = request
            foreign.description = description.replacing(old, with: new).replacing(
                old.replacing("'", with: "\""), with: new.replacing("'", with: "\""))
            try #require(foreign.description != description)
            let text = try await refused(foreign)
            #expect(text.contains("This host cannot run"))
        }
        var lesser = request
        lesser.description = description.replacing(
            try Regex("(?s)<cpu.*?(/>|</cpu>)"),
            with: "<cpu mode='custom' match='exact'><model>486</model><feature policy='require' name='sgx'/></cpu>")
        try #require(lesser.description != description)
        let text = try await refused(lesser)
        #expect(text.contains("processor"), "\(text)")
        #expect(try await driver.machine(machine.uuid).state == .off)

        let loaded = try await driver.load(request)
        #expect(loaded.state == .paused)
        #expect(loaded.disks.map(\.path) == [copy])
        #expect(loaded.nics.first?.bridge == "br0")
        #expect(loaded.nics.first?.tap != nil)
        try await driver.resume(machine.uuid)
        try await driver.resume(machine.uuid)
        try await guestWorks()
        try await driver.announce(machine.uuid)
        try await driver.keep(machine.uuid)
        try await driver.destroy(machine.uuid)
        try await driver.destroy(machine.uuid)
        let off = try await driver.machine(machine.uuid)
        #expect(off.state == .off)
        #expect(off.disks.map(\.path) == [copy])
        await #expect(throws: HypervisorError.self) { try await driver.resume(machine.uuid) }
        // The other tests shall have the first disk again.
        try await redefine { $0.replacing(copy, with: disk) }
    }

    @discardableResult
    private func refused(_ request: LoadRequest, _ location: SourceLocation = #_sourceLocation) async throws -> String {
        let error = await #expect(throws: HypervisorError.self, sourceLocation: location) {
            try await driver.load(request)
        }
        if case .cannotLoad(let text) = error { return text }
        Issue.record("\(String(describing: error))", sourceLocation: location)
        return ""
    }

    private func damagedImagesAreRefused(_ request: LoadRequest, bytes: [UInt8]) async throws {
        var flipped = bytes
        flipped[3] ^= 1
        var length = bytes
        length[22] ^= 0x40
        var magic = bytes
        let stream = SaveImage.header(description: request.description).count
        magic[stream] ^= 0x80
        let damaged = [
            [], Array(bytes.prefix(50)), Array(bytes.prefix(stream)), Array(bytes.prefix(bytes.count / 2)),
            // QEMU's stream ends in a text about itself, some tens of KiB, which loading does not need.
            Array(bytes.dropLast(1 << 20)), flipped, length, magic,
        ]
        for (number, bytes) in damaged.enumerated() {
            var request = request
            request.image = "\(lab.folders.root)/damaged-\(number)"
            defer { unlink(request.image) }
            try Data(bytes).write(to: URL(filePath: request.image))
            try await refused(request)
            #expect(try await driver.machine(machine.uuid).state == .off, "image \(number)")
            #expect(lab.emulator(of: machine.name, on: 1) == nil, "image \(number)")
        }
        var absent = request
        absent.image = "/nonexistent"
        try await refused(absent)
        // One that this host never knew must not be left defined.
        _ = try await lab.virsh(["undefine", machine.name], desktop: 1)
        var broken = request
        broken.image = "\(lab.folders.root)/broken"
        defer { unlink(broken.image) }
        try Data(bytes.prefix(bytes.count / 2)).write(to: URL(filePath: broken.image))
        try await refused(broken)
        #expect(try await driver.machines().isEmpty)
        _ = try await lab.virsh(["define", lab.folders.domain(of: machine.name)], desktop: 1)
    }

    private func redefine(_ change: (String) throws -> String) async throws {
        let text = try await lab.virsh(["dumpxml", "--inactive", machine.name], desktop: 1).standardOutput
        let file = "\(lab.folders.root)/changed.xml"
        try change(text).write(toFile: file, atomically: true, encoding: .utf8)
        defer { unlink(file) }
        let result = try await lab.virsh(["define", file], desktop: 1)
        try #require(result.succeeded, "\(result.standardError)")
    }

    /// Memory that is shared cannot be captured behind the guest's back.
    @Test func sharedMemoryIsSavedWhilePaused() async throws {
        try await driver.destroy(machine.uuid)
        let shared = "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"
        try await redefine { $0.replacing("<vcpu", with: shared + "<vcpu") }
        try await lab.startMachine(machine.name)
        try await guestWorks()
        let sink = CollectingSink()
        let cut = try await prepare(sink)
        guard case .paused = cut.method else {
            Issue.record("not paused")
            return await cut.abandon()
        }
        _ = try await cut.perform {}
        try await cut.imageComplete()
        #expect(sink.collected.count > 10 << 20)
        await cut.finish()
        try await allIsAsBefore()

        let full = try await prepare(CollectingSink(limit: 4 << 20))
        await #expect(throws: HypervisorError.self) { try await full.perform {} }
        #expect(try await driver.machine(machine.uuid).state == .running)
        await full.abandon()
        try await allIsAsBefore()

        try await driver.destroy(machine.uuid)
        try await redefine { $0.replacing(try Regex("(?s)<memoryBacking>.*</memoryBacking>"), with: "") }
    }

    // MARK: Giving up

    @Test func aFailureWhileFrozenLetsTheGuestRun() async throws {
        let cut = try await prepare()
        let error = await #expect(throws: HypervisorError.self) { try await cut.perform { throw GivenUp() } }
        #expect("\(String(describing: error))".contains("GivenUp"))
        #expect(try await driver.machine(machine.uuid).state == .running)
        await #expect(throws: HypervisorError.self) { try await cut.imageComplete() }
        await cut.abandon()
        try await allIsAsBefore()
    }

    @Test(arguments: [0, 3 << 20]) func aSinkThatFailsFailsTheImageOnly(limit: Int) async throws {
        let cut = try await prepare(CollectingSink(limit: limit))
        // Without even the header the guest need not be touched, if that was noticed before.
        if limit == 0 {
            _ = try? await cut.perform {}
        } else {
            _ = try await cut.perform {}
        }
        #expect(try await driver.machine(machine.uuid).state == .running)
        await #expect(throws: HypervisorError.self) { try await cut.imageComplete() }
        #expect(try await driver.machine(machine.uuid).state == .running)
        await cut.abandon()
        try await allIsAsBefore()
    }

    enum Ending: CaseIterable, Sendable {
        case abandon
        case finish
    }

    @Test(arguments: Ending.allCases, [false, true])
    func aCutMayEndBeforeItsImage(ending: Ending, performs: Bool) async throws {
        let cut = try await prepare()
        if performs { _ = try await cut.perform {} }
        // Twice at once, and once more: whoever comes back finds the cut ended.
        async let other: Void = ending == .abandon ? cut.finish() : cut.abandon()
        switch ending {
        case .abandon: await cut.abandon()
        case .finish: await cut.finish()
        }
        try nothingIsLeft()
        await other
        await cut.abandon()
        await #expect(throws: HypervisorError.self) { try await cut.imageComplete() }
        await #expect(throws: HypervisorError.self) { try await cut.perform {} }
        try await allIsAsBefore()
    }

    /// As when the time for holding is over: the disks must not be diverted after they were put right.
    @Test func givingUpWhileTheGuestIsFrozenWaitsForTheCut() async throws {
        let cut = try await prepare()
        let (frozen, reached) = AsyncStream<Void>.makeStream()
        let gate = DispatchSemaphore(value: 0)
        let times = Task {
            try await cut.perform {
                reached.yield()
                gate.wait()
            }
        }
        for await _ in frozen { break }
        let abandoning = Task { await cut.abandon() }
        // The cut goes on only after it was given up.
        while (try? await imageIsGivenUp(cut)) != true { try await Task.sleep(for: .milliseconds(5)) }
        gate.signal()
        await #expect(throws: HypervisorError.self) { try await times.value }
        await abandoning.value
        try await allIsAsBefore()
    }

    private func imageIsGivenUp(_ cut: any PreparedCut) async throws -> Bool {
        try #require(cut as? LibvirtCut).isGivenUp
    }

    @Test func aSecondCutFollowsTheFirst() async throws {
        for _ in 0..<2 {
            let sink = CollectingSink()
            let cut = try await prepare(sink)
            _ = try await cut.perform {}
            await #expect(throws: HypervisorError.self) { try await cut.perform {} }
            try await cut.imageComplete()
            await cut.finish()
            #expect(sink.collected.count > 10 << 20)
        }
        try await allIsAsBefore()
    }

    // MARK: Guests that do not run

    @Test func aPausedGuestIsNotTouched() async throws {
        _ = try await lab.virsh(["suspend", machine.name], desktop: 1)
        let error = await #expect(throws: HypervisorError.self) { _ = try await prepare() }
        #expect(stateNamed(in: error) == "paused")
        #expect(try await driver.machine(machine.uuid).state == .paused)
        try nothingIsLeft()
        try await driver.resume(machine.uuid)
        try await allIsAsBefore()
    }

    private func stateNamed(in error: HypervisorError?) -> String? {
        if case .notRunning(_, let state) = error { state } else { nil }
    }

    /// Paused by its owner between preparation and cut.
    @Test func aGuestThatWasPausedMeanwhileIsNotCut() async throws {
        let cut = try await prepare()
        _ = try await lab.virsh(["suspend", machine.name], desktop: 1)
        await #expect(throws: HypervisorError.self) { try await cut.perform {} }
        #expect(try await driver.machine(machine.uuid).disks.map(\.path) == [disk])
        await cut.abandon()
        try await driver.resume(machine.uuid)
        try await allIsAsBefore()
    }

    @Test func aGuestThatIsOffIsNotTouched() async throws {
        try await driver.destroy(machine.uuid)
        let error = await #expect(throws: HypervisorError.self) { _ = try await prepare() }
        #expect(stateNamed(in: error) == "off")
        #expect(try await driver.machine(machine.uuid).state == .off)
        try nothingIsLeft()
    }

    // MARK: Crashes

    @Test(arguments: [false, true]) func aGuestThatIsKilledGetsItsDiskBack(finishes: Bool) async throws {
        let cut = try await prepare()
        _ = try await cut.perform {}
        try await lab.killMachine(machine.name)
        await #expect(throws: HypervisorError.self) { try await cut.imageComplete() }
        if finishes { await cut.finish() } else { await cut.abandon() }
        let now = try await driver.machine(machine.uuid)
        #expect(now.state == .off)
        #expect(now.disks.map(\.path) == [disk])
        try nothingIsLeft()
        let checked = try await lab.run(["qemu-img", "check", "-q", disk], in: .desktop(1))
        #expect(checked.succeeded)
    }

    /// A VM that started on a raw disk must not come back with one that is called qcow2.
    @Test func aKilledGuestWithARawDiskKeepsIts() async throws {
        try await driver.destroy(machine.uuid)
        let raw = "\(lab.folders.root)/disk.raw"
        let made = try await lab.run(["qemu-img", "convert", "-O", "raw", disk, raw], in: .desktop(1))
        try #require(made.succeeded)
        let definition = try await lab.virsh(["dumpxml", "--inactive", machine.name], desktop: 1).standardOutput
        try await redefine { $0.replacing("type='qcow2'", with: "type='raw'").replacing(disk, with: raw) }
        try await lab.startMachine(machine.name)
        try await guestWorks()
        let cut = try await prepare()
        _ = try await cut.perform {}
        try await lab.killMachine(machine.name)
        await cut.abandon()
        let expected = VirtualMachine.Disk(target: "vda", path: raw, format: "raw", readOnly: false)
        #expect(try await driver.machine(machine.uuid).disks == [expected])
        try await lab.startMachine(machine.name)
        try await guestWorks()
        // And the merge of one that runs.
        let another = try await prepare()
        _ = try await another.perform {}
        try await another.imageComplete()
        await another.finish()
        #expect(try await driver.machine(machine.uuid).disks == [expected])
        try nothingIsLeft()
        try await driver.destroy(machine.uuid)
        try await redefine { _ in definition }
        unlink(raw)
    }

    enum Moment: CaseIterable, Sendable {
        case prepared
        case cut
        case cutAndPaused
        case cutAndOff
    }

    /// Nobody ends the cut of an agent that was killed; another one finds the journal.
    @Test(arguments: Moment.allCases) func anotherAgentPutsRightWhatAKilledOneLeft(moment: Moment) async throws {
        do {
            let cut = try await Self.driver(of: lab).prepareCut(
                of: machine.uuid, workspace: workspace, sink: CollectingSink(limit: 2 << 20))
            if moment != .prepared { _ = try await cut.perform {} }
        }
        if moment == .cutAndPaused { _ = try await lab.virsh(["suspend", machine.name], desktop: 1) }
        if moment == .cutAndOff { try await lab.killMachine(machine.name) }
        let successor = Self.driver(of: lab)
        try await successor.recover(workspace: workspace)
        if moment == .cutAndOff {
            #expect(try await driver.machine(machine.uuid).disks.map(\.path) == [disk])
            try nothingIsLeft()
            try await lab.startMachine(machine.name)
            try await guestWorks()
        }
        try await allIsAsBefore()
        try await successor.recover(workspace: workspace)
        // The next cut works.
        let next = try await successor.prepareCut(of: machine.uuid, workspace: workspace, sink: CollectingSink())
        _ = try await next.perform {}
        try await next.imageComplete()
        await next.finish()
        try await allIsAsBefore()
    }

    /// One that cannot be put right must not keep the others from it.
    @Test func aHopelessJournalDoesNotStopRecovery() async throws {
        do {
            let cut = try await prepare(CollectingSink(limit: 2 << 20))
            _ = try await cut.perform {}
        }
        try await Task.sleep(for: .milliseconds(1))
        for uuid in ["00000000-0000-0000-0000-000000000001", "ffffffff-0000-0000-0000-000000000001"] {
            let overlay = "\(workspace)/\(uuid).qcow2"
            try "no overlay".write(toFile: overlay, atomically: true, encoding: .utf8)
            try CutJournal(
                uuid: uuid,
                overlays: [.init(target: "vda", original: "/nonexistent", originalFormat: "raw", overlay: overlay)]
            ).write(to: workspace)
        }
        await #expect(throws: HypervisorError.self) { try await driver.recover(workspace: workspace) }
        #expect(CutJournal.all(in: workspace).count == 2)
        try FileManager.default.removeItem(atPath: workspace)
        try await allIsAsBefore()
    }
}
