import Foundation
import Testing

@testable import DesktopLab

@Suite struct DomainDescriptionTests {
    private func description(_ accelerator: Accelerator) -> DomainDescription {
        let configuration = LabConfiguration(directory: "/tmp/it's <a> lab", guestOptions: ["hf.ping=5"])
        return DomainDescription(
            machine: 2, topology: LabTopology(configuration), folders: LabFolders(root: configuration.directory),
            accelerator: accelerator)
    }

    @Test func pathsAreEscaped() throws {
        let xml = description(.tcg).xml
        #expect(xml.contains("/tmp/it&apos;s &lt;a&gt; lab/disks/vm-2.qcow2"))
        #expect(!xml.contains("it's"))
    }

    @Test func theGuestLearnsItsPlace() {
        let words = description(.tcg).commandLine.split(separator: " ")
        #expect(words.contains("hf.index=2"))
        #expect(words.contains("hf.members=4"))
        #expect(words.contains("hf.rate=131072"))
        #expect(words.contains("hf.ping=5"))
    }

    @Test func theAcceleratorDecidesTheDomainType() {
        #expect(description(.tcg).xml.hasPrefix("<domain type='qemu'>"))
        #expect(description(.kvm).xml.hasPrefix("<domain type='kvm'>"))
    }
}
