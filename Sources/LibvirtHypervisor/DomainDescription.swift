import Foundation
import FoundationXML
import Hypervisor

/// libvirt's XML description of a domain: what we read from it and the little that we change.
struct DomainDescription {
    /// As Foundation writes it.
    private static let declaration = "<?xml version=\"1.0\" encoding=\"utf-8\"?>"

    private static let space = "\t\n\r".utf8

    private let document: XMLDocument

    init(_ xml: String) throws(HypervisorError) {
        document = try Self.parse(xml)
        // What is damaged is mended, and what comes of that may be mended anew: libvirt would read another description
        // than was looked at here.
        guard try Self.parse(document.xmlString).xmlString.utf8.elementsEqual(document.xmlString.utf8) else {
            throw .failed("A VM's description is not well-formed XML.")
        }
    }

    private static func parse(_ xml: String) throws(HypervisorError) -> XMLDocument {
        // Foundation's parser mends what is damaged, and ends the process on an empty text.
        let text = xml.trimmingCharacters(in: .whitespacesAndNewlines)
        guard text.hasPrefix("<"), text.hasSuffix(">") else {
            throw .failed("A VM's description is not whole XML.")
        }
        // XML has no such characters, and at a zero octet Foundation's parser ends the process.
        guard !text.utf8.contains(where: { $0 < 0x20 && !Self.space.contains($0) }) else {
            throw .failed("A VM's description must not hold control characters.")
        }
        // libvirt writes none; in a stored description it could make the parser, or libvirt, read other files. By
        // bytes: to characters a combining mark hides it. Another encoding could too: the declaration is ours or none.
        let declared = text.utf8.starts(with: "<?xml".utf8)
        guard !xml.utf8.contains("<!DOCTYPE".utf8), !declared || text.utf8.starts(with: Self.declaration.utf8) else {
            throw .failed("A VM's description must not have a document type or another encoding.")
        }
        let document: XMLDocument
        do {
            document = try XMLDocument(xmlString: xml)
        } catch {
            throw .failed("libvirt's description of a VM is not well-formed XML: \(error.localizedDescription).")
        }
        guard document.rootElement() != nil else { throw .failed("A VM's description has no element.") }
        return document
    }

    /// The elements at the end of a path of names: from the root if it begins with a slash, else below `element`.
    ///
    /// Foundation's XPath keeps every document on which it was used.
    private func elements(_ path: String, in element: XMLElement? = nil) -> [XMLElement] {
        var names = path.split(separator: "/").map(String.init)
        var found: [XMLElement]
        if let element {
            found = [element]
        } else {
            let root = document.rootElement()
            found = root.map { $0.name == names.removeFirst() ? [$0] : [] } ?? []
        }
        for name in names { found = found.flatMap { $0.elements(forName: name) } }
        return found
    }

    private func has(_ name: String, _ element: XMLElement) -> Bool { !element.elements(forName: name).isEmpty }

    private func isOf(_ attribute: String, _ values: String..., element: XMLElement) -> Bool {
        element.attribute(forName: attribute)?.stringValue.map(values.contains) ?? false
    }

    private func attribute(_ name: String, of path: String, in node: XMLElement? = nil) -> String? {
        elements(path, in: node).first?.attribute(forName: name)?.stringValue
    }

    var xml: String { document.xmlString }

    var memory: UInt64 {
        let kibibytes = elements("/domain/memory").first?.stringValue.flatMap { UInt64($0) } ?? 0
        let (bytes, overflow) = kibibytes.multipliedReportingOverflow(by: 1024)
        return overflow ? 0 : bytes
    }

    var nics: [VirtualMachine.NIC] {
        elements("/domain/devices/interface").map { interface in
            let target = attribute("dev", of: "target", in: interface)
            var kind = interface.attribute(forName: "type")?.stringValue ?? "unknown"
            // A bridge of Open vSwitch is none of Linux's.
            if attribute("type", of: "virtualport", in: interface) == "openvswitch" { kind = "openvswitch" }
            // Only these kinds have a tap that is a port of a Linux bridge; macvtap and user-mode NICs have not. A
            // libvirt network may stand for either, and says so by naming its bridge.
            let source = attribute("bridge", of: "source", in: interface)
            let bridge = kind == "bridge" || kind == "network" ? source : nil
            return VirtualMachine.NIC(
                mac: (attribute("address", of: "mac", in: interface) ?? "").lowercased(),
                tap: bridge == nil ? nil : target, bridge: bridge, kind: kind)
        }
    }

    var disks: [VirtualMachine.Disk] {
        // A LUN or a floppy is written as a disk is; a drive without a medium holds nothing.
        let disks = elements("/domain/devices/disk").filter { disk in
            !isOf("device", "cdrom", element: disk) && (!isOf("device", "floppy", element: disk) || has("source", disk))
        }
        return disks.map { disk in
            VirtualMachine.Disk(
                target: attribute("dev", of: "target", in: disk) ?? "",
                path: attribute("file", of: "source", in: disk),
                format: attribute("type", of: "driver", in: disk) ?? "raw",
                readOnly: !elements("readonly", in: disk).isEmpty)
        }
    }

    /// The file of the firmware's variables, if the VM has one.
    var variables: String? {
        let path = elements("/domain/os/nvram").first.flatMap { nvram in
            elements("source", in: nvram).isEmpty ? nvram.stringValue : attribute("file", of: "source", in: nvram)
        }
        return path?.hasPrefix("/") == true ? path : nil
    }

    /// Has the firmware keep its variables in another file, which is there.
    func replaceVariables(_ path: String) throws(HypervisorError) {
        guard let nvram = elements("/domain/os/nvram").first, variables != nil else {
            throw .cannotLoad("The stored description has no firmware variables, but the snapshot has some.")
        }
        if let source = elements("source", in: nvram).first {
            source.removeAttribute(forName: "file")
            source.addAttribute(Self.attribute("file", path))
        } else {
            nvram.stringValue = path
        }
    }

    var uuid: String? { elements("/domain/uuid").first?.stringValue?.lowercased() }

    var emulator: String? { elements("/domain/devices/emulator").first?.stringValue }

    /// The guest's processor: how it is chosen, its model if one is named, and the element itself.
    var processor: (mode: String?, model: String?, xml: String)? {
        guard let element = elements("/domain/cpu").first else { return nil }
        let model = elements("model", in: element).first?.stringValue
        return (element.attribute(forName: "mode")?.stringValue, model, element.xmlString)
    }

    /// Of the description of what a host can run: whether it offers such a mode of processor.
    func offersProcessorMode(_ mode: String) -> Bool {
        elements("/domainCapabilities/cpu/mode").filter { isOf("supported", "yes", element: $0) }.contains {
            $0.attribute(forName: "name")?.stringValue == mode
        }
    }

    /// What another host must offer for this VM.
    var requirements: [String: String] {
        var requirements: [String: String] = [:]
        requirements["machine"] = attribute("machine", of: "/domain/os/type")
        requirements["arch"] = attribute("arch", of: "/domain/os/type")
        requirements["accelerator"] = elements("/domain").first?.attribute(forName: "type")?.stringValue
        let model = elements("/domain/cpu/model").first?.stringValue
        requirements["cpu"] = model ?? attribute("mode", of: "/domain/cpu") ?? "default"
        return requirements
    }

    /// Devices whose state no image holds, in words for people.
    var blockingDevices: [String] {
        var found: [String] = []
        for device in elements("/domain/devices/hostdev") {
            found.append("a host device (\(device.attribute(forName: "type")?.stringValue ?? "hostdev"))")
        }
        for device in elements("/domain/devices/interface") where isOf("type", "hostdev", "vdpa", element: device) {
            found.append("a network card of the host (\(device.attribute(forName: "type")?.stringValue ?? "hostdev"))")
        }
        for device in elements("/domain/devices/filesystem") {
            found.append("a shared folder (\(attribute("dir", of: "target", in: device) ?? "filesystem"))")
        }
        if !elements("/domain/devices/shmem").isEmpty { found.append("memory shared with the host (shmem)") }
        for disk in elements("/domain/devices/disk") where has("shareable", disk) && !has("readonly", disk) {
            found.append("disk \(attribute("dev", of: "target", in: disk) ?? "?"), which other VMs may write too")
        }
        for disk in elements("/domain/devices/disk") where has("mirror", disk) {
            found.append("a copy or merge of disk \(attribute("dev", of: "target", in: disk) ?? "?") under way")
        }
        if !elements("/domain/os/nvram").isEmpty, variables == nil {
            found.append("firmware variables outside of files")
        }
        if elements("/domain/devices/tpm/backend").contains(where: { isOf("type", "passthrough", element: $0) }) {
            found.append("the host's TPM")
        }
        return found
    }

    /// Why a background image cannot be taken of this VM's memory, if so.
    var memoryNeedsPause: String? {
        if !elements("/domain/memoryBacking/hugepages").isEmpty { return "its memory is in huge pages" }
        if attribute("mode", of: "/domain/memoryBacking/access") == "shared" { return "its memory is shared" }
        return nil
    }

    /// Points disks at other files, all of one format. `files` is by target name; every one must exist.
    func replaceDisks(_ files: [String: String], format: String = "qcow2") throws(HypervisorError) {
        for (target, path) in files {
            let found = elements("/domain/devices/disk").first { attribute("dev", of: "target", in: $0) == target }
            guard let disk = found else {
                throw .cannotLoad("The stored description has no disk \(target), but the snapshot has one.")
            }
            for source in elements("source", in: disk) { source.detach() }
            for backing in elements("backingStore", in: disk) { backing.detach() }
            // Without a format libvirt takes the file for a raw one.
            let driver = elements("driver", in: disk).first ?? XMLElement(name: "driver")
            if driver.parent == nil {
                driver.addAttribute(Self.attribute("name", "qemu"))
                disk.addChild(driver)
            }
            driver.removeAttribute(forName: "type")
            driver.addAttribute(Self.attribute("type", format))
            disk.removeAttribute(forName: "type")
            disk.addAttribute(Self.attribute("type", "file"))
            let source = XMLElement(name: "source")
            source.addAttribute(Self.attribute("file", path))
            disk.addChild(source)
        }
    }

    private static func attribute(_ name: String, _ value: String) -> XMLNode {
        // XMLNode's factory is typed as Any for the sake of Objective-C; it returns a node.
        // swift-format-ignore: NeverForceUnwrap
        XMLNode.attribute(withName: name, stringValue: value) as! XMLNode
    }

    /// An overlay for each disk, as `virDomainSnapshotCreateXML` wants it; other disks are left out by name.
    static func diskSnapshot(overlays: [String: String], others: [String]) -> String {
        let disks = XMLElement(name: "disks")
        for (target, path) in overlays.sorted(by: { $0.key < $1.key }) {
            let disk = XMLElement(name: "disk")
            disk.addAttribute(attribute("name", target))
            disk.addAttribute(attribute("snapshot", "external"))
            let source = XMLElement(name: "source")
            source.addAttribute(attribute("file", path))
            disk.addChild(source)
            let driver = XMLElement(name: "driver")
            driver.addAttribute(attribute("type", "qcow2"))
            disk.addChild(driver)
            disks.addChild(disk)
        }
        for target in others.sorted() {
            let disk = XMLElement(name: "disk")
            disk.addAttribute(attribute("name", target))
            disk.addAttribute(attribute("snapshot", "no"))
            disks.addChild(disk)
        }
        let snapshot = XMLElement(name: "domainsnapshot")
        snapshot.addChild(disks)
        return snapshot.xmlString
    }
}
