import Foundation
import Glibc
import Hypervisor
import Logging
import NIOConcurrencyHelpers
import Testing

@testable import VirtualBoxHypervisor

@Suite struct SettingsTests {
    static let base = "11111111-1111-1111-1111-111111111111"
    static let layer = "22222222-2222-2222-2222-222222222222"

    static func settings(old: Bool = false, hardware: String = "", type: String = "Normal") -> String {
        let controllers = """
            <StorageControllers><StorageController name="SATA Ctl" type="AHCI">\
            <AttachedDevice nonrotational="true" type="HardDisk" port="0" device="0"><Image uuid="{\(layer)}"/></AttachedDevice>\
            <AttachedDevice passthrough="false" type="DVD" port="1" device="0"/></StorageController></StorageControllers>
            """
        let snapshot = """
            <Snapshot uuid="{33333333-3333-3333-3333-333333333333}" name="s" stateFile="Snapshots/a.sav"><Hardware/>\
            <Snapshots><Snapshot uuid="{44444444-4444-4444-4444-444444444444}" name="t" stateFile="/b.sav"/></Snapshots>\
            </Snapshot>
            """
        return """
            <?xml version="1.0"?>
            <!-- a comment -->
            <VirtualBox xmlns="http://www.virtualbox.org/" version="1.19-linux">
            <Machine uuid="{ABCDEF00-0000-0000-0000-000000000001}" name="vm" currentSnapshot="{44444444-4444-4444-4444-444444444444}">
            <MediaRegistry><HardDisks><HardDisk uuid="{\(base)}" location="a.vdi" format="VDI" type="\(type)">\
            <HardDisk uuid="{\(layer)}" location="Snapshots/b.vdi" format="VDI"/></HardDisk></HardDisks></MediaRegistry>
            \(snapshot)
            <Hardware>\(hardware)\(old ? "" : controllers)</Hardware>\(old ? controllers : "")
            </Machine></VirtualBox>

            """
    }

    static func info(_ nics: String) -> MachineInfo? {
        MachineInfo(
            MachineReadable(
                """
                name="vm"
                UUID="abcdef00-0000-0000-0000-000000000001"
                CfgFile="/m/vm.vbox"
                VMState="running"
                memory=512
                "SATA Ctl-0-0"="/m/Snapshots/b.vdi"
                "SATA Ctl-ImageUUID-0-0"="\(base)"
                "SATA Ctl-1-0"="emptydrive"
                \(nics)

                """))
    }

    @Test(arguments: [false, true]) func whatTheSettingsSay(old: Bool) throws {
        let settings = try MachineSettings(Self.settings(old: old))
        #expect(settings.uuid == "abcdef00-0000-0000-0000-000000000001")
        #expect(settings.attachments.map(\.type) == ["HardDisk", "DVD"])
        #expect(settings.attachments[0].target == "SATA_Ctl-0-0")
        #expect(settings.attachments[0].options == ["--nonrotational", "on"])
        #expect(settings.media[Self.layer]?.hasParent == true)
        #expect(settings.media[Self.base]?.hasParent == false)
        #expect(settings.stateFile(ofSnapshot: "33333333-3333-3333-3333-333333333333") == "Snapshots/a.sav")
        #expect(settings.stateFile(ofSnapshot: "44444444-4444-4444-4444-444444444444") == "/b.sav")
        #expect(settings.stateFile(ofSnapshot: Self.base) == nil)
    }

    @Test(arguments: [false, true]) func whatBelongsToTheOldDesktopIsForgotten(old: Bool) throws {
        let settings = try MachineSettings(Self.settings(old: old))
        settings.forget()
        let again = try MachineSettings(settings.xml)
        #expect(again.attachments.map(\.type) == ["DVD"])
        #expect(again.media.isEmpty)
        #expect(!again.xml.contains("currentSnapshot"))
        #expect(!again.xml.contains("<Snapshot"))
        #expect(again.xml.contains("http://www.virtualbox.org/"))
    }

    @Test(arguments: [
        "", "<", "{}", "<VirtualBox/>", "<!DOCTYPE d []><VirtualBox><Machine/></VirtualBox>",
        "<?xml version=\"1.0\" encoding=\"utf-16\"?><VirtualBox><Machine/></VirtualBox>", "<a>\u{0}</a>",
    ]) func whatIsDamagedIsRefused(text: String) {
        #expect(throws: HypervisorError.self) { try MachineSettings(text) }
    }

    @Test(arguments: [
        ("<TrustedPlatformModule type=\"v2_0\"/>", "TPM"), ("<Firmware type=\"EFI\"/>", "EFI"),
        ("<HostPci><Devices><Device host=\"3\" guest=\"4\"/></Devices></HostPci>", "PCI"),
    ]) func devicesThatBlockAreNamed(hardware: String, word: String) throws {
        let settings = try MachineSettings(Self.settings(hardware: hardware))
        let info = try #require(Self.info(""))
        let text = try #require(VirtualBoxDriver.blocker(info, settings, [:]))
        #expect(text.contains(word))
        #expect(text.contains("vm"))
    }

    @Test(arguments: [
        "nic1=\"nat\"\nnatnet1=\"nat\"", "nic1=\"natnetwork\"\nnat-network1=\"NatNet\"",
        "nic1=\"intnet\"\nintnet1=\"lab\"", "nic1=\"hostonly\"\nhostonlyadapter1=\"vboxnet0\"",
        "nic1=\"bridged\"\nbridgeadapter1=\"eth0\"", "nic1=\"bridged\"\nbridgeadapter1=\"br0\"",
        "nic1=\"bridged\"\nbridgeadapter1=\"vbtap1\"\nnic2=\"bridged\"\nbridgeadapter2=\"vbtap1\"",
        "nic1=\"bridged\"\nbridgeadapter1=\"vbtap1\"\nnic2=\"nat\"\nnatnet2=\"nat\"",
    ]) func everyOtherNICIsRefusedWithTheWayOut(nics: String) throws {
        let taps = ["vbtap1": TapPlace(tap: "vbtap1", bridge: "br0")]
        let info = try #require(Self.info(nics))
        let text = try #require(VirtualBoxDriver.blocker(info, try MachineSettings(Self.settings()), taps))
        #expect(text.contains("ip tuntap add"))
        #expect(text.contains("--bridgeadapter"))
    }

    @Test func aTapOfItsOwnOnABridgeIsAccepted() throws {
        let taps = ["vbtap1": TapPlace(tap: "vbtap1", bridge: "br0")]
        let info = try #require(Self.info("nic1=\"bridged\"\nbridgeadapter1=\"vbtap1\"\nmacaddress1=\"080027AABBCC\""))
        #expect(info.adapters.map(\.mac) == ["08:00:27:aa:bb:cc"])
        #expect(VirtualBoxDriver.blocker(info, try MachineSettings(Self.settings()), taps) == nil)
    }

    @Test func disksThatNoSnapshotHoldsAreRefused() throws {
        let info = try #require(Self.info(""))
        let settings = try MachineSettings(Self.settings(type: "Writethrough"))
        #expect(VirtualBoxDriver.blocker(info, settings, [:])?.contains("writethrough") == true)
    }

    @Test func onlyTapsOfPlainBridgesArePlaces() {
        let answer = """
            [{"ifname":"br0","linkinfo":{"info_kind":"bridge","info_data":{"vlan_filtering":0}}},
             {"ifname":"br1","linkinfo":{"info_kind":"bridge","info_data":{"vlan_filtering":1}}},
             {"ifname":"t0","master":"br0","linkinfo":{"info_kind":"tun","info_data":{"type":"tap"}}},
             {"ifname":"t1","master":"br1","linkinfo":{"info_kind":"tun","info_data":{"type":"tap"}}},
             {"ifname":"t2","linkinfo":{"info_kind":"tun","info_data":{"type":"tap"}}},
             {"ifname":"v0","master":"br0","linkinfo":{"info_kind":"veth"}},{"ifname":"eth0","master":"br0"}]
            """
        #expect(Array(TapPlace.all(in: answer).keys) == ["t0"])
        #expect(TapPlace.all(in: "nonsense").isEmpty)
    }

    @Test func aPauseIsKnownByTheLog() {
        #expect(PauseCause(log: "") == .wanted)
        let sleep = "00:01 Pausing VM execution, reason 'HostSuspend'"
        #expect(PauseCause(log: sleep) == .hostPower)
        #expect(PauseCause(log: sleep + "\n00:02 Resuming VM execution, reason 'HostResume'") == .wanted)
        #expect(PauseCause(log: sleep + "\n00:02 Pausing VM execution, reason 'unspecified'") == .wanted)
        #expect(PauseCause(log: "00:03 VM runtime error: fatal=false, errorID=DrvVD_DISKFULL") == .diskFull)
    }

    @Test(arguments: [
        ("Could not find a registered machine with UUID {x}", ManageFailure.Kind.unknownMachine),
        ("The machine 'a' is already locked for a session (or being unlocked)", .locked),
        ("VM is paused due to host power management", .hostPower), ("Invalid machine state: Paused", .wrongState),
        ("Machine 'a' is not currently running.", .notRunning),
        ("Failed to create the VirtualBox object!", .unavailable),
        ("Something else", .other),
    ]) func errorsAreKnownByTheirWords(text: String, kind: ManageFailure.Kind) {
        let failure = ManageFailure(
            status: 1, standardError: "0%...10%...\nVBoxManage: error: \(text)\nVBoxManage: error: Details: code X")
        #expect(failure.kind == kind)
        #expect(failure.text == (text.hasSuffix(".") ? String(text.dropLast()) : text))
    }

    @Test func nothingIsLeftOfACallAtItsDeadline() async throws {
        let mark = "/tmp/hf-vbox-deadline-\(UUID().uuidString)"
        defer { unlink(mark) }
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        // It does not heed SIGTERM, and neither does its child, whose number it writes down.
        let command = HostCommand(
            ["sh", "-c", "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > \(mark); while :; do sleep 1; done' & wait"],
            logger: logger)
        let failure = await #expect(throws: ManageFailure.self) {
            try await command.run([], within: .seconds(2))
        }
        #expect(failure?.kind == .unavailable)
        let child = try #require(
            Int32(try String(contentsOfFile: mark, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)))
        // Whoever adopts it takes a moment to bury it.
        for _ in 0..<500 where kill(child, 0) == 0 {
            let state = (try? String(contentsOfFile: "/proc/\(child)/stat", encoding: .utf8)) ?? ""
            if state.contains(") Z ") { break }
            try await Task.sleep(for: .milliseconds(10))
        }
        let state = (try? String(contentsOfFile: "/proc/\(child)/stat", encoding: .utf8)) ?? ""
        #expect(state.isEmpty || state.contains(") Z "))
    }

    @Test func callsForOneMachineComeOneAtATime() async {
        let turns = MachineTurns()
        let running = NIOLockedValueBox<[String: Int]>([:])
        let most = NIOLockedValueBox<Int>(0)
        await withTaskGroup(of: Void.self) { group in
            for index in 0..<60 {
                group.addTask {
                    let machine = "\(index % 3)"
                    await turns.take(machine) {
                        let now = running.withLockedValue { running in
                            running[machine, default: 0] += 1
                            return running[machine] ?? 0
                        }
                        most.withLockedValue { $0 = max($0, now) }
                        await Task.yield()
                        running.withLockedValue { $0[machine, default: 0] -= 1 }
                    }
                }
                if index % 7 == 0 { group.addTask { withUnsafeCurrentTask { $0?.cancel() } } }
            }
        }
        #expect(most.withLockedValue { $0 } == 1)
    }
}
