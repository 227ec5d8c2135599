import Hypervisor
import MarkupTree

/// libvirt's XML description of a domain: what we read from it and the little that we change.
struct DomainDescription {
    private let document: MarkupDocument

    init(_ xml: String) throws(HypervisorError) {
        do throws(MarkupError) {
            document = try MarkupDocument(xml)
        } catch {
            throw .failed("A VM's description \(error.predicate).")
        }
    }

    /// Nil in a description of something else.
    private var domain: MarkupElement? { document.root.name == "domain" ? document.root : nil }

    private func devices(_ kind: String) -> [MarkupElement] { domain?.elements("devices", kind) ?? [] }

    var xml: String { document.xml }

    var memory: UInt64 {
        let kibibytes = (domain?.element("memory")?.text).flatMap { UInt64($0) } ?? 0
        let (bytes, overflow) = kibibytes.multipliedReportingOverflow(by: 1024)
        return overflow ? 0 : bytes
    }

    var nics: [VirtualMachine.NIC] {
        devices("interface").map { interface in
            let target = interface.element("target")?["dev"]
            var kind = interface["type"] ?? "unknown"
            // A bridge of Open vSwitch is none of Linux's.
            if interface.element("virtualport")?["type"] == "openvswitch" { kind = "openvswitch" }
            // Only these kinds have a tap that is a port of a Linux bridge; macvtap and user-mode NICs have not. A
            // libvirt network may stand for either, and says so by naming its bridge.
            let source = interface.element("source")?["bridge"]
            let bridge = kind == "bridge" || kind == "network" ? source : nil
            return VirtualMachine.NIC(
                mac: (interface.element("mac")?["address"] ?? "").lowercased(),
                tap: bridge == nil ? nil : target, bridge: bridge, kind: kind,
                wayOut: "Attach it with <interface type='bridge'>.")
        }
    }

    var disks: [VirtualMachine.Disk] {
        // A LUN or a floppy is written as a disk is; a drive without a medium holds nothing.
        let disks = devices("disk").filter { disk in
            disk["device"] != "cdrom" && (disk["device"] != "floppy" || disk.element("source") != nil)
        }
        return disks.map { disk in
            VirtualMachine.Disk(
                target: disk.element("target")?["dev"] ?? "",
                path: disk.element("source")?["file"],
                format: disk.element("driver")?["type"] ?? "raw",
                readOnly: disk.element("readonly") != nil)
        }
    }

    /// The file of the firmware's variables, if the VM has one.
    var variables: String? {
        let path = domain?.element("os", "nvram").flatMap { nvram in
            nvram.element("source") == nil ? nvram.text : nvram.element("source")?["file"]
        }
        return path?.hasPrefix("/") == true ? path : nil
    }

    /// Has the firmware keep its variables in another file, which is there.
    func replaceVariables(_ path: String) throws(HypervisorError) {
        guard let nvram = domain?.element("os", "nvram"), variables != nil else {
            throw .cannotLoad("The stored description has no firmware variables, but the snapshot has some.")
        }
        if let source = nvram.element("source") {
            source["file"] = path
        } else {
            nvram.text = path
        }
    }

    var uuid: String? { domain?.element("uuid")?.text.lowercased() }

    var emulator: String? { domain?.element("devices", "emulator")?.text }

    /// The guest's processor: how it is chosen, its model if one is named, and the element itself.
    var processor: (mode: String?, model: String?, xml: String)? {
        guard let element = domain?.element("cpu") else { return nil }
        let model = element.element("model")?.text
        return (element["mode"], model, element.xml)
    }

    /// Whether the guest sees the host's processor as it is.
    var hasHostProcessor: Bool {
        domain?["type"] != "qemu" && ["host-passthrough", "maximum"].contains(processor?.mode ?? "")
    }

    /// Of the description of what a host can run: whether it offers such a mode of processor.
    func offersProcessorMode(_ mode: String) -> Bool {
        guard document.root.name == "domainCapabilities" else { return false }
        return document.root.elements("cpu", "mode").contains { $0["supported"] == "yes" && $0["name"] == mode }
    }

    /// What another host must offer for this VM.
    var requirements: [String: String] {
        var requirements: [String: String] = [:]
        requirements["machine"] = domain?.element("os", "type")?["machine"]
        requirements["arch"] = domain?.element("os", "type")?["arch"]
        requirements["accelerator"] = domain?["type"]
        let model = domain?.element("cpu", "model")?.text
        requirements["cpu"] = model ?? domain?.element("cpu")?["mode"] ?? "default"
        return requirements
    }

    /// Devices whose state no image holds, in words for people.
    var blockingDevices: [String] {
        var found: [String] = []
        for device in devices("hostdev") {
            found.append("a host device (\(device["type"] ?? "hostdev"))")
        }
        for device in devices("interface") where ["hostdev", "vdpa"].contains(device["type"]) {
            found.append("a network card of the host (\(device["type"] ?? "hostdev"))")
        }
        for device in devices("filesystem") {
            found.append("a shared folder (\(device.element("target")?["dir"] ?? "filesystem"))")
        }
        if !devices("shmem").isEmpty { found.append("memory shared with the host (shmem)") }
        for disk in devices("disk") where disk.element("shareable") != nil && disk.element("readonly") == nil {
            found.append("disk \(disk.element("target")?["dev"] ?? "?"), which other VMs may write too")
        }
        for disk in devices("disk") where disk.element("mirror") != nil {
            found.append("a copy or merge of disk \(disk.element("target")?["dev"] ?? "?") under way")
        }
        if domain?.element("os", "nvram") != nil, variables == nil {
            found.append("firmware variables outside of files")
        }
        if devices("tpm").flatMap({ $0.elements("backend") }).contains(where: { $0["type"] == "passthrough" }) {
            found.append("the host's TPM")
        }
        return found
    }

    /// Why a background image cannot be taken of this VM's memory, if so.
    var memoryNeedsPause: String? {
        if domain?.element("memoryBacking", "hugepages") != nil { return "its memory is in huge pages" }
        if domain?.element("memoryBacking", "access")?["mode"] == "shared" { return "its memory is shared" }
        return nil
    }

    /// Points disks at other files, all of one format. `files` is by target name; every one must exist.
    func replaceDisks(_ files: [String: String], format: String = "qcow2") throws(HypervisorError) {
        for (target, path) in files {
            let found = devices("disk").first { $0.element("target")?["dev"] == target }
            guard let disk = found else {
                throw .cannotLoad("The stored description has no disk \(target), but the snapshot has one.")
            }
            disk.remove("source")
            disk.remove("backingStore")
            // Without a format libvirt takes the file for a raw one.
            if let driver = disk.element("driver") {
                driver["type"] = format
            } else {
                disk.append(MarkupElement("driver", ["name": "qemu", "type": format]))
            }
            disk["type"] = "file"
            disk.append(MarkupElement("source", ["file": path]))
        }
    }

    /// An overlay for each disk, as `virDomainSnapshotCreateXML` wants it; other disks are left out by name.
    static func diskSnapshot(overlays: [String: String], others: [String]) -> String {
        let external = overlays.sorted { $0.key < $1.key }.map { target, path in
            MarkupElement(
                "disk", ["name": target, "snapshot": "external"],
                [MarkupElement("source", ["file": path]), MarkupElement("driver", ["type": "qcow2"])])
        }
        let none = others.sorted().map { MarkupElement("disk", ["name": $0, "snapshot": "no"]) }
        return MarkupElement("domainsnapshot", [:], [MarkupElement("disks", [:], external + none)]).xml
    }
}
