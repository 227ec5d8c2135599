import DesktopLab
import Foundation
import Glibc
import Hypervisor
import HypervisorConformance
import Logging
import NIOConcurrencyHelpers
import Testing

@testable import LibvirtHypervisor

/// With a real libvirtd and a real guest. Each test leaves the guest running on its own disk, or the next one starts it.
@Suite(.serialized, .enabled(if: getuid() == 0), LabScope()) struct RealGuestTests {
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
        let now = try await driver.machine(machine.uuid)
        if now.state != .running || now.disks.map(\.path) != [disk] {
            try await driver.destroy(machine.uuid)
            // Whatever another test, one that failed too, has made of it.
            _ = try await lab.virsh(["define", lab.folders.domain(of: machine.name)], desktop: 1)
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

    // MARK: Restore

    /// What this host cannot run is refused before anything of it is loaded.
    @Test func aForeignHostIsRefused() async throws {
        let description = try await driver.description(of: machine.uuid)
        try await driver.destroy(machine.uuid)
        var request = LoadRequest(
            uuid: machine.uuid, name: machine.name, image: "/nonexistent", description: description, disks: [:])
        for (old, new) in [
            ("/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-system-of-another-host"),
            ("machine='pc", "machine='pc-of-another-age"), ("arch='x86_64'", "arch='s390x'"),
        ] {
            request.description = description.replacing(old, with: new).replacing(
                old.replacing("'", with: "\""), with: new.replacing("'", with: "\""))
            try #require(request.description != description)
            #expect(try await refusal(of: request).contains("This host cannot run"))
        }
        request.description = description.replacing(
            try Regex("(?s)<cpu.*?(/>|</cpu>)"),
            with: "<cpu mode='custom' match='exact'><model>486</model><feature policy='require' name='sgx'/></cpu>")
        try #require(request.description != description)
        #expect(try await refusal(of: request).contains("processor"))
        #expect(try await driver.machine(machine.uuid).state == .off)
    }

    private func refusal(of request: LoadRequest) async throws -> String {
        let error = await #expect(throws: HypervisorError.self) { try await driver.load(request) }
        if case .cannotLoad(let text) = error { return text }
        Issue.record("\(String(describing: error))")
        return ""
    }

    /// One that this host never knew must not be left defined.
    @Test func aBrokenImageOfAnUnknownVMLeavesNothing() async throws {
        let sink = CollectingSink()
        let cut = try await prepare(sink)
        _ = try await cut.perform {}
        try await cut.imageComplete()
        await cut.finish()
        await cut.settled()
        let description = try await driver.description(of: machine.uuid)
        try await driver.destroy(machine.uuid)
        _ = try await lab.virsh(["undefine", machine.name], desktop: 1)
        let image = "\(lab.folders.root)/broken"
        defer { unlink(image) }
        try Data(sink.collected.prefix(sink.collected.count / 2)).write(to: URL(filePath: image))
        _ = try await refusal(
            of: LoadRequest(
                uuid: machine.uuid, name: machine.name, image: image, description: description, disks: [:]))
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
        await cut.settled()
        try await allIsAsBefore()

        let full = try await prepare(CollectingSink(limit: 4 << 20))
        await #expect(throws: HypervisorError.self) { try await full.perform {} }
        #expect(try await driver.machine(machine.uuid).state == .running)
        await full.abandon()
        await full.settled()
        try await allIsAsBefore()

        try await driver.destroy(machine.uuid)
        try await redefine { $0.replacing(try Regex("(?s)<memoryBacking>.*</memoryBacking>"), with: "") }
    }

    // MARK: Giving up

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
        await cut.settled()
        try await allIsAsBefore()
    }

    private func imageIsGivenUp(_ cut: any PreparedCut) async throws -> Bool {
        try #require(cut as? LibvirtCut).isGivenUp
    }

    // MARK: The daemon goes and comes back

    /// The same driver, its event loop too, works with the new daemon.
    @Test func aDaemonThatIsBackIsUsedAgain() async throws {
        let cut = try await prepare()
        let times = try await cut.perform {}
        #expect(times.pause < times.endedAt - times.startedAt, "without events the pause is the whole cut")
        try await lab.killLibvirt(desktop: 1)
        let error = await #expect(throws: HypervisorError.self) { try await driver.machines() }
        #expect(error?.passes == true, "\(String(describing: error))")
        let ending = Task {
            await cut.abandon()
            await cut.settled()
        }
        try await guestWorks()
        try await lab.restartLibvirt(desktop: 1)
        await ending.value
        try await allIsAsBefore()
        let next = try await prepare()
        let again = try await next.perform {}
        #expect(again.pause < again.endedAt - again.startedAt, "the events of the new daemon do not arrive")
        try await next.imageComplete()
        await next.finish()
        await next.settled()
        try await allIsAsBefore()
    }

    /// The daemon is away when the cut is to be made: nothing is frozen, and it is said why.
    @Test func aCutWithoutADaemonIsNotMade() async throws {
        let cut = try await prepare()
        try await lab.killLibvirt(desktop: 1)
        let error = await #expect(throws: HypervisorError.self) { try await cut.perform {} }
        #expect(error?.passes == true, "\(String(describing: error))")
        try await guestWorks()
        try await lab.restartLibvirt(desktop: 1)
        await cut.abandon()
        await cut.settled()
        try await allIsAsBefore()
    }

    /// As a libvirtd leaves it that is killed while it diverts the disks.
    @Test func aBlockNodeOfAnOverlayThatNobodyKnowsGoesWithIt() async throws {
        let cut = try await prepare()
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
        await cut.settled()
        let left = try await lab.virsh(["qemu-monitor-command", machine.name, nodes], desktop: 1)
        #expect(!left.standardOutput.contains("libvirt-77-storage"))
        #expect(!left.standardOutput.contains(overlay))
        try await allIsAsBefore()
    }

    // MARK: Firmware and network cards

    /// A guest with UEFI, its variables and two network cards.
    @Test func theFirmwaresVariablesComeAlong() async throws {
        let code = "/usr/share/OVMF/OVMF_CODE_4M.fd"
        let template = "/usr/share/OVMF/OVMF_VARS_4M.fd"
        try #require(FileManager.default.fileExists(atPath: code), "install the package ovmf")
        try await driver.destroy(machine.uuid)
        let definition = try await lab.virsh(["dumpxml", "--inactive", machine.name], desktop: 1).standardOutput
        let own = "\(lab.folders.root)/own-nvram.fd"
        let restored = "\(lab.folders.root)/restored-nvram.bin"
        let image = "\(lab.folders.root)/uefi.img"
        let copy = "\(lab.folders.root)/uefi-disk.qcow2"
        defer { for file in [own, restored, image, copy] { unlink(file) } }
        try await redefine {
            $0.replacing(
                "<kernel>",
                with:
                    "<loader readonly='yes' type='pflash'>\(code)</loader>"
                    + "<nvram template='\(template)'>\(own)</nvram><kernel>"
            ).replacing(
                // An EFI stub and its initial file system do not fit into 128 MiB beside the firmware.
                "131072", with: "524288"
            ).replacing(
                "<serial ",
                with:
                    "<interface type='bridge'><mac address='52:54:00:77:00:99'/><source bridge='br0'/>"
                    + "<model type='virtio'/></interface><serial "
            )
        }
        let witness = GuestWitness(serialLog: machine.serialLog)
        let before = witness.said
        try await lab.startMachine(machine.name)
        // An emulated firmware takes its time.
        try await witness.report(after: before, patience: .seconds(180))
        let sink = CollectingSink()
        let cut = try await prepare(sink)
        #expect(cut.frozenFiles.isEmpty)
        let description = try await driver.description(of: machine.uuid)
        let atTheCut = NIOLockedValueBox<Data?>(nil)
        _ = try await cut.perform { atTheCut.withLockedValue { $0 = FileManager.default.contents(atPath: own) } }
        let frozen = try #require(cut.frozenFiles.first)
        #expect(cut.frozenFiles.map(\.name) == ["nvram"])
        try await cut.imageComplete()
        let kept = try #require(FileManager.default.contents(atPath: frozen.path))
        #expect(kept == atTheCut.withLockedValue { $0 })
        #expect(kept != FileManager.default.contents(atPath: template), "the firmware has written nothing")
        try kept.write(to: URL(filePath: restored))
        let converted = try await lab.run(["qemu-img", "convert", "-U", "-O", "qcow2", disk, copy], in: .desktop(1))
        try #require(converted.succeeded)
        await cut.finish()
        await cut.settled()
        try nothingIsLeft()
        try Data(sink.collected).write(to: URL(filePath: image))
        try await driver.destroy(machine.uuid)
        // What the VM's own file has become since must not matter.
        try Data(repeating: 0xFF, count: kept.count).write(to: URL(filePath: own))

        var request = LoadRequest(
            uuid: machine.uuid, name: machine.name, image: image, description: description, disks: ["vda": copy])
        request.files = ["nvram": restored]
        let place = lab.logEnds()[machine.name] ?? 0
        let loaded = try await driver.load(request)
        #expect(loaded.nics.count == 2)
        #expect(Set(loaded.nics.compactMap(\.tap)).count == 2)
        #expect(loaded.nics.allSatisfy { $0.bridge == "br0" })
        try await driver.resume(machine.uuid)
        let first = try await witness.report(after: place)
        #expect(first.sequence > 1, "the guest was started anew")
        try await driver.keep(machine.uuid)
        let now = try await lab.virsh(["dumpxml", "--inactive", machine.name], desktop: 1).standardOutput
        #expect(now.contains(restored) && !now.contains(own))
        #expect(FileManager.default.contents(atPath: restored) == kept)
        request.files = ["something": restored]
        try await driver.destroy(machine.uuid)
        #expect(try await refusal(of: request).contains("something"))
        _ = try await lab.virsh(["undefine", "--keep-nvram", machine.name], desktop: 1)
        let file = "\(lab.folders.root)/changed.xml"
        try definition.write(toFile: file, atomically: true, encoding: .utf8)
        defer { unlink(file) }
        try #require(try await lab.virsh(["define", file], desktop: 1).succeeded)
    }

    /// QEMU keeps the state of an emulated TPM in the image, and gives it back to a TPM that knows nothing.
    @Test func theStateOfATPMComesAlong() async throws {
        try await driver.destroy(machine.uuid)
        let definition = try await lab.virsh(["dumpxml", "--inactive", machine.name], desktop: 1).standardOutput
        let image = "\(lab.folders.root)/tpm.img"
        let copy = "\(lab.folders.root)/tpm-disk.qcow2"
        defer { for file in [image, copy] { unlink(file) } }
        try await redefine {
            $0.replacing(
                "<serial ",
                with: "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm><serial ")
        }
        try await lab.startMachine(machine.name)
        try await guestWorks()
        let folder = "\(lab.folders.libvirt(1, .lib))/swtpm/\(machine.uuid)"
        let state = "\(folder)/tpm2/tpm2-00.permall"
        let sink = CollectingSink()
        let cut = try await prepare(sink)
        #expect(cut.method == .background)
        let description = try await driver.description(of: machine.uuid)
        _ = try await cut.perform {}
        try await cut.imageComplete()
        let converted = try await lab.run(["qemu-img", "convert", "-U", "-O", "qcow2", disk, copy], in: .desktop(1))
        try #require(converted.succeeded)
        await cut.finish()
        await cut.settled()
        try await allIsAsBefore()
        let kept = try #require(FileManager.default.contents(atPath: state))
        try Data(sink.collected).write(to: URL(filePath: image))
        try await driver.destroy(machine.uuid)
        // As on another host.
        try FileManager.default.removeItem(atPath: folder)

        let place = lab.logEnds()[machine.name] ?? 0
        _ = try await driver.load(
            LoadRequest(
                uuid: machine.uuid, name: machine.name, image: image, description: description, disks: ["vda": copy]))
        try await driver.resume(machine.uuid)
        let first = try await GuestWitness(serialLog: machine.serialLog).report(after: place)
        #expect(first.sequence > 1, "the guest was started anew")
        #expect(FileManager.default.contents(atPath: state) == kept, "the TPM is another one")
        try await driver.destroy(machine.uuid)
        try await redefine { _ in definition }
    }

    // MARK: Raw disks

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
        await cut.settled()
        let expected = VirtualMachine.Disk(target: "vda", path: raw, format: "raw", readOnly: false)
        #expect(try await driver.machine(machine.uuid).disks == [expected])
        try await lab.startMachine(machine.name)
        try await guestWorks()
        // And the merge of one that runs.
        let another = try await prepare()
        _ = try await another.perform {}
        try await another.imageComplete()
        await another.finish()
        await another.settled()
        #expect(try await driver.machine(machine.uuid).disks == [expected])
        try nothingIsLeft()
        try await driver.destroy(machine.uuid)
        try await redefine { _ in definition }
        unlink(raw)
    }

    // MARK: Agents that are gone

    /// Nobody ends the cut of an agent that was killed, and the VM's owner pauses it: another agent lets it run.
    @Test func anotherAgentWakesAPausedGuest() async throws {
        do {
            let cut = try await Self.driver(of: lab).prepareCut(
                of: machine.uuid, workspace: workspace, sink: CollectingSink(limit: 2 << 20))
            _ = try await cut.perform {}
        }
        _ = try await lab.virsh(["suspend", machine.name], desktop: 1)
        try await Self.driver(of: lab).recover(workspace: workspace)
        try await allIsAsBefore()
    }
}
