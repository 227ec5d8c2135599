import Hypervisor

@testable import LibvirtHypervisor

enum DomainSubject {
    static func run(_ bytes: [UInt8]) throws {
        guard let description = try? DomainDescription(String(decoding: bytes, as: UTF8.self)) else { return }
        try readEverything(of: description)
        let xml = description.xml
        // Whatever gets past the check is handed to libvirt, which would follow it.
        try Broken.unless(!contains("<!DOCTYPE", xml), "A document type got past the check.")
        try Broken.unless(!contains("<!ENTITY", xml), "An entity got past the check.")
        try image(of: xml)
        guard let again = try? DomainDescription(xml) else { throw Broken(description: "What it writes it refuses.") }
        try Broken.unless(
            again.nics == description.nics && again.disks == description.disks && again.memory == description.memory
                && again.uuid == description.uuid && again.requirements == description.requirements
                && again.blockingDevices == description.blockingDevices,
            "It is written otherwise than read.")
        try replaceDisks(of: again)
    }

    private static func readEverything(of description: DomainDescription) throws {
        _ = description.emulator
        _ = description.processor
        _ = description.offersProcessorMode("host-model")
        _ = description.memoryNeedsPause
    }

    private static func replaceDisks(of description: DomainDescription) throws {
        let targets = Set(description.disks.map(\.target))
        guard targets.count == description.disks.count, !targets.isEmpty else { return }
        let files = Dictionary(uniqueKeysWithValues: targets.map { ($0, "/new/<&\"'>") })
        do {
            try description.replaceDisks(files)
        } catch {
            // A drive of another kind may be the first of that name, or have none.
            return
        }
        _ = DomainDescription.diskSnapshot(overlays: files, others: [])
        guard let again = try? DomainDescription(description.xml) else {
            throw Broken(description: "With other disks it is refused.")
        }
        try Broken.unless(again.disks.count == targets.count, "A disk came or went when files were replaced.")
    }

    /// Reads the header as libvirt does.
    private static func image(of xml: String) throws {
        let header = SaveImage.header(description: xml)
        try Broken.unless(header.count % SaveImage.alignment == 0, "The stream does not begin at a page.")
        let text = header.dropFirst(SaveImage.headerLength).prefix { $0 != 0 }
        try Broken.unless(text.elementsEqual(xml.utf8), "libvirt would read another description.")
        try Broken.unless(header.last == 0, "The description is not ended.")
    }

    /// By bytes: to the comparison of characters a combining mark hides what it follows.
    private static func contains(_ needle: String, _ text: String) -> Bool {
        let bytes = Array(text.utf8)
        let wanted = Array(needle.utf8)
        return bytes.indices.contains { bytes[$0...].starts(with: wanted) }
    }
}
