import CLibvirt
import Hypervisor
import MarkupTree
import Testing

@testable import LibvirtHypervisor

@Suite struct DomainDescriptionTests {
    private func description(_ devices: String, before: String = "", kind: String = "kvm") throws -> DomainDescription {
        try DomainDescription(
            """
            <domain type='\(kind)'><name>a</name><uuid>11111111-2222-3333-4444-55555555555A</uuid>\
            <memory unit='KiB'>131072</memory>\(before)<devices>\(devices)</devices></domain>
            """)
    }

    @Test(arguments: [
        ("<cpu mode='host-passthrough'/>", "kvm", true), ("<cpu mode='maximum'/>", "kvm", true),
        ("<cpu mode='maximum'/>", "qemu", false), ("<cpu mode='custom'><model>EPYC</model></cpu>", "kvm", false),
        ("", "kvm", false),
    ])
    func whoeverSeesTheHostsProcessorIsKnown(processor: String, kind: String, expected: Bool) throws {
        #expect(try description("", before: processor, kind: kind).hasHostProcessor == expected)
    }

    // MARK: NICs

    @Test(
        arguments: [
            (
                "<interface type='bridge'><mac address='52:54:00:AA:00:01'/><source bridge='br0'/><target dev='vnet3'/>",
                "vnet3",
                "br0", "bridge"
            ),
            (
                "<interface type='network'><source network='default' bridge='virbr0'/><target dev='vnet0'/>", "vnet0",
                "virbr0",
                "network"
            ),
            // A network of macvtaps: its device is no port of any bridge.
            (
                "<interface type='network'><source network='lan' dev='eth0' mode='bridge'/><target dev='macvtap0'/>",
                nil, nil,
                "network"
            ),
            ("<interface type='user'><target dev='x'/>", nil, nil, "user"),
            ("<interface type='direct'><source dev='eth0' mode='bridge'/><target dev='macvtap0'/>", nil, nil, "direct"),
            ("<interface type='hostdev'><source/>", nil, nil, "hostdev"),
            (
                "<interface type='bridge'><source bridge='ovs0'/><virtualport type='openvswitch'/><target dev='vnet1'/>",
                nil,
                nil, "openvswitch"
            ),
            // One that is off has no tap yet.
            ("<interface type='bridge'><source bridge='br0'/>", nil, "br0", "bridge"),
        ] as [(String, String?, String?, String)])
    func nics(start: String, tap: String?, bridge: String?, kind: String) throws {
        let nic = try #require(try description(start + "</interface>").nics.first)
        #expect(nic.tap == tap)
        #expect(nic.bridge == bridge)
        #expect(nic.kind == kind)
    }

    @Test func hardwareAddressesAreLowerCase() throws {
        let found = try description("<interface type='bridge'><mac address='52:54:00:AA:BB:01'/></interface>").nics
        #expect(found.map(\.mac) == ["52:54:00:aa:bb:01"])
    }

    // MARK: Disks

    private static let drives = """
        <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/a.qcow2' index='1'/>\
        <backingStore type='file'><format type='raw'/><source file='/base'/></backingStore>\
        <target dev='vda' bus='virtio'/></disk>\
        <disk type='file'><source file='/b.raw'/><target dev='vdb'/></disk>\
        <disk type='file' device='cdrom'><source file='/c.iso'/><target dev='hda'/><readonly/></disk>\
        <disk type='file' device='disk'><driver type='raw'/><source file='/r'/><target dev='vdc'/><readonly/></disk>\
        <disk type='network' device='disk'><driver type='raw'/><source protocol='rbd' name='p/i'/>\
        <target dev='vdd'/></disk>\
        <disk type='block' device='disk'><driver type='raw'/><source dev='/dev/sdb'/><target dev='vde'/></disk>\
        <disk type='block' device='lun'><driver type='raw'/><source dev='/dev/sdc'/><target dev='sda'/></disk>\
        <disk type='file' device='floppy'><target dev='fda'/></disk>\
        <disk type='file' device='floppy'><source file='/f.img'/><target dev='fdb'/></disk>
        """

    @Test func disksOfEveryKind() throws {
        let expected = [
            VirtualMachine.Disk(target: "vda", path: "/a.qcow2", format: "qcow2", readOnly: false),
            VirtualMachine.Disk(target: "vdb", path: "/b.raw", format: "raw", readOnly: false),
            VirtualMachine.Disk(target: "vdc", path: "/r", format: "raw", readOnly: true),
            VirtualMachine.Disk(target: "vdd", path: nil, format: "raw", readOnly: false),
            VirtualMachine.Disk(target: "vde", path: nil, format: "raw", readOnly: false),
            VirtualMachine.Disk(target: "sda", path: nil, format: "raw", readOnly: false),
            VirtualMachine.Disk(target: "fdb", path: "/f.img", format: "raw", readOnly: false),
        ]
        #expect(try description(Self.drives).disks == expected)
    }

    @Test func replacedDisksAreFilesOfTheNewFormatWithoutTheOldChain() throws {
        let described = try description(Self.drives)
        try described.replaceDisks(["vda": "/new & a", "vdb": "/new-b", "vde": "/new-e"])
        let disks = Dictionary(uniqueKeysWithValues: described.disks.map { ($0.target, $0) })
        for (target, path) in ["vda": "/new & a", "vdb": "/new-b", "vde": "/new-e"] {
            #expect(disks[target] == VirtualMachine.Disk(target: target, path: path, format: "qcow2", readOnly: false))
        }
        #expect(disks["vdd"]?.path == nil)
        #expect(!described.xml.contains("backingStore"))
        #expect(!described.xml.contains("/dev/sdb"))
        #expect(!described.xml.contains("/a.qcow2"))
        #expect(described.xml.contains("/c.iso"))
    }

    /// A raw disk that is called qcow2 does not start.
    @Test func aDiskThatGetsItsOwnFileBackKeepsItsFormat() throws {
        let described = try description(Self.drives)
        try described.replaceDisks(["vda": "/own.raw"], format: "raw")
        #expect(described.disks.first == .init(target: "vda", path: "/own.raw", format: "raw", readOnly: false))
    }

    @Test func aDiskThatIsNotThereCannotBeReplaced() throws {
        let described = try description(Self.drives)
        #expect(throws: HypervisorError.self) { try described.replaceDisks(["vdz": "/x"]) }
    }

    /// Its test driver validates as the real one does.
    @Test func whatIsReplacedStaysValidInLibvirtsSchema() throws {
        let drives = Self.drives.replacing(
            "<source protocol='rbd' name='p/i'/>", with: "<source protocol='nbd'><host name='h'/></source>")
        let described = try DomainDescription(
            """
            <domain type='test'><name>valid</name><memory>131072</memory><os><type arch='i686'>hvm</type></os>\
            <devices>\(drives)</devices></domain>
            """)
        try described.replaceDisks(["vda": "/new-a", "vdb": "/new-b", "vde": "/new-e"])
        let connection = try LibvirtConnection(uri: "test:///default").open()
        let domain = virDomainDefineXMLFlags(
            connection.pointer, described.xml, VIR_DOMAIN_DEFINE_VALIDATE.rawValue)
        #expect(domain != nil, "\(LibvirtFailure.last().message)")
        if let domain {
            virDomainUndefine(domain)
            virDomainFree(domain)
        }
    }

    // MARK: Requirements and blockers

    @Test(arguments: [
        ("<cpu mode='custom'><model>Skylake-Client</model></cpu>", "Skylake-Client"),
        ("<cpu mode='host-passthrough'/>", "host-passthrough"), ("", "default"),
    ])
    func requirements(processor: String, expected: String) throws {
        let os = "<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>"
        let found = try description("", before: os + processor).requirements
        #expect(found == ["machine": "pc-q35-7.2", "arch": "x86_64", "accelerator": "kvm", "cpu": expected])
    }

    @Test(arguments: [
        ("<hostdev mode='subsystem' type='pci'/>", "pci"), ("<interface type='hostdev'/>", "network card"),
        ("<filesystem type='mount'><target dir='share'/></filesystem>", "share"), ("<shmem name='x'/>", "shmem"),
        ("<disk><target dev='vda'/><shareable/></disk>", "vda"), ("<disk><target dev='vda'/><mirror/></disk>", "vda"),
        ("<tpm model='tpm-tis'><backend type='passthrough'/></tpm>", "TPM"),
    ])
    func aBlockingDeviceIsNamed(device: String, word: String) throws {
        let found = try description(device).blockingDevices
        #expect(found.count == 1)
        #expect(found.first?.contains(word) == true)
    }

    @Test func anOrdinaryVMHasNoBlocker() throws {
        let shared = "<disk device='disk'><target dev='vdx'/><shareable/><readonly/></disk>"
        #expect(try description(Self.drives + shared).blockingDevices.isEmpty)
    }

    @Test func sharedMemoryAndHugePagesNeedAPause() throws {
        let pages = "<memoryBacking><hugepages/></memoryBacking>"
        let shared = "<memoryBacking><access mode='shared'/></memoryBacking>"
        #expect(try description("", before: pages).memoryNeedsPause?.contains("huge") == true)
        #expect(try description("", before: shared).memoryNeedsPause?.contains("shared") == true)
        #expect(try description("").memoryNeedsPause == nil)
    }

    // MARK: Hostile text

    @Test(arguments: [
        "", "<", "no xml", " \n", "<domain><name>x", "\u{0}", "<\u{0}domain></domain>", "<domain>\u{1b}</domain>",
        "<domain><uuid><!------>>",
    ])
    func whatIsNotXMLIsRefused(text: String) {
        #expect(throws: HypervisorError.self) { try DomainDescription(text) }
    }

    @Test func noOtherFileIsRead() {
        let text = """
            <!DOCTYPE domain [<!ENTITY x SYSTEM "file:///etc/hostname">]><domain><name>&x;</name></domain>
            """
        #expect(throws: HypervisorError.self) { try DomainDescription(text) }
    }

    @Test func sizesThatNoMachineHasDoNotEndTheAgent() throws {
        let text = "<domain><memory>18446744073709551615</memory></domain>"
        #expect(try DomainDescription(text).memory == 0)
        #expect(try DomainDescription("<domain><memory>-1</memory></domain>").memory == 0)
        #expect(try description("").memory == 128 << 20)
    }

    @Test func anElementWithoutAnythingIsNoReasonToFail() throws {
        let described = try description("<disk/><interface/><hostdev/><filesystem/>")
        #expect(described.disks == [.init(target: "", path: nil, format: "raw", readOnly: false)])
        let wayOut = "Attach it with <interface type='bridge'>."
        #expect(described.nics == [.init(mac: "", tap: nil, bridge: nil, kind: "unknown", wayOut: wayOut)])
        #expect(described.blockingDevices.count == 2)
    }

    @Test func namesInASnapshotAreEscaped() throws {
        let text = DomainDescription.diskSnapshot(overlays: ["vda": "/w/<a>&'\".qcow2"], others: ["vdb"])
        let disks = try MarkupDocument(text).root.elements("disks", "disk")
        #expect(disks.map { $0["name"] } == ["vda", "vdb"])
        #expect(disks.map { $0["snapshot"] } == ["external", "no"])
        #expect(disks.map { $0.element("source")?["file"] } == ["/w/<a>&'\".qcow2", nil])
    }
}
