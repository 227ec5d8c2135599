import Testing

@testable import Hypervisor

@Suite("The emulators of this host") struct InstalledEmulatorsTests {
    @Test("They say which version they are and which machines they have")
    func words() {
        let version =
            "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright (c) 2003-2022 Fabrice Bellard"
        #expect(InstalledEmulators.version(in: version) == "7.2.22")
        #expect(InstalledEmulators.version(in: "QEMU emulator version 9.2.50 (v9.2.0-1)") == "9.2.50")
        #expect(InstalledEmulators.version(in: "Good morning") == nil)
        let machines = """
            Supported machines are:
            microvm              microvm (i386)
            pc                   Standard PC (i440FX + PIIX, 1996) (alias of pc-i440fx-7.2)
            pc-i440fx-7.2        Standard PC (i440FX + PIIX, 1996) (default)

            """
        #expect(InstalledEmulators.machines(in: machines) == ["microvm", "pc", "pc-i440fx-7.2"])
        #expect(InstalledEmulators.machines(in: "") == [])
    }

    @Test("Asked twice they say the same")
    func offer() async {
        let emulators = InstalledEmulators()
        let offer = await emulators.offer()
        #expect(offer["hypervisor"] == "qemu")
        // On a host with an emulator all of it is known, on another nothing.
        #expect((offer["version"] == nil) == (offer["machine"] == ""))
        #expect((offer["arch"] == "") == (offer["machine"] == ""))
        #expect(await emulators.offer() == offer)
    }
}
