import Hypervisor
import Testing

@testable import VirtualBoxHypervisor

@Suite struct MachineReadableTests {
    @Test func quotedAndBareEntries() {
        let text = MachineReadable("name=\"a\"\nmemory=128\n\"SATA Controller-0-0\"=\"/d/x.vdi\"\n")
        #expect(text["name"] == "a")
        #expect(text["memory"] == "128")
        #expect(text["SATA Controller-0-0"] == "/d/x.vdi")
        #expect(text.entries.count == 3)
    }

    @Test func escapesOfSevenAreTakenBack() {
        let text = MachineReadable(
            #"""
            name="a \"b\" \\ c"
            "C \"1\"-0-0"="/x"
            """#)
        #expect(text["name"] == #"a "b" \ c"#)
        #expect(text[#"C "1"-0-0"#] == "/x")
    }

    @Test func olderVersionsEscapeNothing() {
        let text = MachineReadable("name=\"a \"b\" c\"\nCfgFile=\"C:\\dir\\x.vbox\"\nUUID=\"u\"\n")
        #expect(text["name"] == "a \"b\" c")
        #expect(text["CfgFile"] == "C:\\dir\\x.vbox")
        #expect(text["UUID"] == "u")
    }

    @Test func aDescriptionOfSeveralLinesBelongsToOneEntry() {
        let text = MachineReadable(
            "description=\"first\nsecond with = and \"quotes\"\n\nlast\"\nSnapshotName=\"s\"\nSnapshotUUID=\"u\"")
        #expect(text["description"] == "first\nsecond with = and \"quotes\"\n\nlast")
        #expect(text["SnapshotName"] == "s")
        #expect(text["SnapshotUUID"] == "u")
    }

    @Test func whatADescriptionSaysDoesNotCountAgainstWhatVirtualBoxSays() {
        let text = MachineReadable("UUID=\"mine\"\nVMState=\"running\"\ndescription=\"x\"\nVMState=\"paused\"\n")
        #expect(text["VMState"] == "running")
    }

    @Test func moreBehindTheQuoteIsLeftOut() {
        let text = MachineReadable("BandwidthGroup0=\"Limit\",Disk,20\nVideoMode=\"720,400,0\"@0,0 1\nnext=\"n\"\n")
        #expect(text["BandwidthGroup0"] == "Limit")
        #expect(text["VideoMode"] == "720,400,0")
        #expect(text["next"] == "n")
    }

    @Test func carriageReturnsAreNoPartOfAnything() {
        let text = MachineReadable("name=\"a\"\r\nUUID=\"u\"\r\n")
        #expect(text["name"] == "a")
        #expect(text["UUID"] == "u")
    }

    @Test func aTextThatIsCutOffYieldsWhatItHas() {
        let whole = "name=\"a\"\nVMState=\"running\"\nUUID=\"u\""
        for length in 0...whole.count {
            let text = MachineReadable(String(whole.prefix(length)))
            if length > 9 { #expect(text["name"] == "a") }
        }
    }

    @Test func sentencesAreNoEntries() {
        let text = MachineReadable("WARNING: The vboxdrv module is not loaded = bad\n\nname=\"a\"\n")
        #expect(text.entries.map(\.key) == ["name"])
    }

    @Test func aSnapshotIsFoundByItsNameInATree() {
        let text = MachineReadable(
            """
            SnapshotName="base"
            SnapshotUUID="0a8c5ad5-ec10-4e0e-a2a4-2dcb2a2f3d31"
            SnapshotDescription="says "hi"
            and more"
            SnapshotName-1="holdfast-1"
            SnapshotUUID-1="1A8c5ad5-ec10-4e0e-a2a4-2dcb2a2f3d32"
            SnapshotName-1-1="holdfast-2"
            SnapshotUUID-1-1="2a8c5ad5-ec10-4e0e-a2a4-2dcb2a2f3d33"
            CurrentSnapshotName="holdfast-2"
            CurrentSnapshotUUID="2a8c5ad5-ec10-4e0e-a2a4-2dcb2a2f3d33"
            CurrentSnapshotNode="SnapshotName-1-1"
            """)
        #expect(text.uuid(ofSnapshot: "holdfast-1") == "1a8c5ad5-ec10-4e0e-a2a4-2dcb2a2f3d32")
        #expect(text.uuid(ofSnapshot: "holdfast-2") == "2a8c5ad5-ec10-4e0e-a2a4-2dcb2a2f3d33")
        #expect(text.uuid(ofSnapshot: "holdfast-3") == nil)
    }

    @Test func whateverComesIsRead() {
        var random = SystemRandomNumberGenerator()
        let alphabet = Array("a=\"\\\n\r-1 ,@é\u{0}".utf8)
        for _ in 0..<3_000 {
            let octets = (0..<Int.random(in: 0..<60, using: &random)).map { _ in alphabet.randomElement(using: &random)!
            }
            let text = String(decoding: octets, as: UTF8.self)
            let read = MachineReadable(text)
            #expect(read.entries.count <= text.utf8.count, "\(octets)")
        }
    }
}
