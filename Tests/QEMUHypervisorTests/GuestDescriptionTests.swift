import Foundation
import Hypervisor
import Testing

@testable import QEMUHypervisor

@Suite struct GuestCommandLineTests {
    private func line(_ text: String) -> GuestCommandLine {
        GuestCommandLine(["qemu-system-x86_64"] + text.split(separator: " ").map(String.init))
    }

    @Test func whatIsUnderstoodIsKeptInItsOrder() {
        let line = line(
            "-name guest=web,debug-threads=on -uuid 1C0FFEE0-0000-4000-8000-000000000001 -M pc,usb=off -m 128 "
                + "-drive file=/d/a.qcow2,format=qcow2,if=none,id=d0 -device virtio-blk-pci,drive=d0 -S")
        #expect(line.refusals.isEmpty)
        #expect(line.name == "web")
        #expect(line.uuid == "1c0ffee0-0000-4000-8000-000000000001")
        #expect(line.options.map(\.name) == ["machine", "m", "drive", "device"])
        #expect(line.options[0].arguments == ["-machine", "pc,usb=off"])
        #expect(line.options[3].kind == "virtio-blk-pci")
    }

    @Test(arguments: [
        ("-fsdev local,id=f,path=/", "the option -fsdev"), ("-device vfio-pci,host=01:00.0", "the device vfio-pci"),
        ("-netdev user,id=u", "-netdev user"), ("-bios /tmp/b", "the option -bios"),
        ("-drive if=pflash,file=/v.fd,format=raw", "firmware in flash"),
        ("-drive file=nbd:localhost:1,if=none,id=n,format=raw", "a disk that is no file"),
        ("-drive file=/d.vmdk,format=vmdk", "a disk of the format vmdk"), ("/d.img", "without -drive"),
        ("-blockdev driver=nbd,node-name=n", "a disk of the kind nbd"),
        ("-device e1000,romfile=/etc/shadow", "with a romfile"),
        ("-object rng-random,id=r,filename=/etc/shadow", "random numbers from /etc/shadow"),
        ("-object secret,id=s,file=/etc/shadow", "-object secret"), ("-m 128,maxmem=1G", "with `maxmem`"),
        ("-netdev tap,id=n,script=/x,queues=2", "with `queues`"), ("-chardev udp,id=c", "-chardev udp"),
    ])
    func whatCannotBeCarriedOverIsNamed(text: String, reason: String) {
        let refusals = line(text).refusals
        #expect(refusals.count == 1 && refusals[0].contains(reason), "\(refusals)")
    }

    @Test func monitorsAreOfTheProcess() {
        let line = line(
            "-chardev socket,id=m,path=/q,server=on -mon chardev=m,mode=control -chardev file,id=c,path=/c.log "
                + "-serial chardev:c -qmp unix:/x,server=on")
        #expect(line.refusals.isEmpty)
        #expect(line.options.map(\.name) == ["chardev", "serial"])
        #expect(line.options[0]["id"] == "c")
    }

    @Test func commasWithinAValueAreDoubled() {
        let option = GuestOption("drive", GuestCommandLine.values("file=/a,,b,format=raw"))
        #expect(option["file"] == "/a,b")
        #expect(option.arguments == ["-drive", "file=/a,,b,format=raw"])
        // What is taken as a whole is not.
        let append = GuestOption("append", [.init("", "a,b")])
        #expect(append.arguments == ["-append", "a,b"])
    }

    @Test func jsonStandsForTheSame() {
        let text = #"{"driver":"qcow2","node-name":"n","read-only":true,"file":{"driver":"file","filename":"/a"}}"#
        let option = GuestOption("blockdev", GuestCommandLine.values(text))
        #expect(option["file.filename"] == "/a")
        #expect(option["read-only"] == "on")
        #expect(option.kind == "qcow2")
    }
}

@Suite struct GuestDescriptionTests {
    private static let uuid = "1c0ffee0-0000-4000-8000-000000000001"

    private func description(_ text: String) -> GuestDescription {
        let line = GuestCommandLine(["qemu"] + text.split(separator: " ").map(String.init))
        return GuestDescription(
            uuid: Self.uuid, name: "web", architecture: "x86_64", machine: "pc-i440fx-7.2", options: line.options,
            nics: [.init(netdev: "n0", bridge: "br0")])
    }

    @Test func whatWasStoredIsReadAgain() throws {
        let one = description("-m 1G -accel kvm -cpu host,+x -device e1000,netdev=n0,mac=52:54:00:00:00:01")
        #expect(try GuestDescription(one.text) == one)
        #expect(one.memory == 1 << 30)
        #expect(one.requirements["driver"] == "qemu" && one.requirements["machine"] == "pc-i440fx-7.2")
        #expect(one.requirements["accelerator"] == "kvm" && one.requirements["cpu"] == "host,+x")
    }

    @Test(arguments: [
        ("-accel kvm -cpu host,+x", true), ("-enable-kvm -cpu max", true), ("-accel tcg -cpu max", false),
        ("-accel kvm -cpu Skylake-Client", false), ("-accel kvm", false),
    ])
    func whoeverSeesTheHostsProcessorIsKnown(text: String, expected: Bool) {
        #expect(description(text).hasHostProcessor == expected)
    }

    @Test(arguments: [
        ("\"name\" : \"m\"", "\"name\" : \"fsdev\""), ("\"name\" : \"m\"", "\"name\" : \"qmp\""),
        ("holdfast-qemu-1", "holdfast-qemu-9"), ("br0", "br0;reboot"), ("x86_64", "../x86_64"),
        ("1c0ffee0", "nothing"),
    ])
    func whatWouldNotHaveBeenWrittenIsRefused(part: String, replacement: String) throws {
        let text = description("-m 128").text
        #expect(text.contains(part))
        #expect(throws: HypervisorError.self) { try GuestDescription(text.replacing(part, with: replacement)) }
    }

    @Test func oneWrittenByHandHasTheWordsOfACommandLine() throws {
        let line = "-m 1G -drive file=/d,format=qcow2,if=virtio -netdev tap,id=n0 -device e1000,netdev=n0"
        func byHand(_ words: [String]) throws -> String {
            let list = String(decoding: try JSONEncoder().encode(words), as: UTF8.self)
            return """
                {"format": "holdfast-qemu-1", "uuid": "\(Self.uuid.uppercased())", "name": "web", "architecture": "x86_64",
                 "machine": "pc-i440fx-7.2", "arguments": \(list), "nics": [{"netdev": "n0", "bridge": "br0"}]}
                """
        }
        let words = line.split(separator: " ").map(String.init)
        #expect(try GuestDescription(byHand(words)) == description(line))
        for refused in [["-fsdev", "local,id=f,path=/"], ["-netdev", "user,id=u"], ["/d.img"]] {
            #expect(throws: HypervisorError.self) { try GuestDescription(byHand(words + refused)) }
        }
    }

    @Test func theExampleIsOne() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let one = try GuestDescription(
            String(contentsOf: root.appending(path: "examples/qemu-vm.json"), encoding: .utf8))
        #expect(one.name == "web" && one.memory == 1 << 30 && one.accelerator == "kvm")
        #expect(one.disks.map(\.path) == ["/vms/web.qcow2"])
        #expect(one.nics == [.init(netdev: "lan", bridge: "br0")])
    }

    @Test func disksAreNamedInTheOrderOfTheirDevices() {
        let disks = description(
            "-drive file=/a,format=qcow2,if=none,id=x -drive file=/b,format=raw,if=virtio -blockdev "
                + "driver=file,filename=/c,node-name=f -blockdev driver=raw,file=f,node-name=r,read-only=on -device "
                + "virtio-blk-pci,drive=x,id=first -device scsi-hd,drive=r -drive file=/i,media=cdrom,format=raw"
        ).disks
        #expect(disks.map(\.target) == ["vda", "vdb", "sda"])
        #expect(disks.map(\.path) == ["/b", "/a", "/c"])
        #expect(disks.map(\.backend) == ["virtio0", "x", "r"])
        #expect(disks.map(\.readOnly) == [false, false, true])
        #expect(disks[1].device == "first")
    }

    @Test(arguments: [
        "-drive file=/old,format=raw,if=virtio",
        "-drive file=/old,format=raw,if=none,id=d -device virtio-blk-pci,drive=d",
        "-blockdev driver=file,filename=/old,node-name=f -blockdev driver=raw,file=f,node-name=d -device scsi-hd,drive=d",
        "-blockdev driver=raw,file.driver=file,file.filename=/old,node-name=d -device scsi-hd,drive=d",
        "-blockdev driver=file,filename=/old,node-name=d,aio=native -device scsi-hd,drive=d",
    ])
    func aDiskIsPointedAtAnotherFile(text: String) throws {
        var one = description(text)
        let disk = try #require(one.disks.first)
        #expect(one.disks.count == 1 && disk.path == "/old" && disk.format == "raw")
        disk.replace(in: &one.options, path: "/new", format: "qcow2")
        #expect(one.disks.first?.path == "/new" && one.disks.first?.format == "qcow2")
        #expect(!one.text.contains("/old"))
        #expect(try GuestDescription(one.text) == one)
    }

    @Test(arguments: [
        ("-m 128", nil), ("-object memory-backend-ram,id=m,size=1G", nil),
        ("-object memory-backend-memfd,id=m,size=1G,share=off", nil),
        ("-object memory-backend-memfd,id=m,size=1G", "its memory is shared"),
        ("-object memory-backend-ram,id=m,size=1G,share=on", "its memory is shared"),
        ("-object memory-backend-memfd,id=m,size=1G,share=off,hugetlb=on", "its memory is in huge pages"),
        ("-mem-path /dev/hugepages", "its memory is in files of the host"),
    ])
    func memoryThatNeedsAPauseIsKnown(text: String, reason: String?) {
        #expect(description(text).memoryNeedsPause == reason)
    }
}

@Suite struct LayoutTests {
    @Test func nicsAreReadWithTheirOtherEnds() {
        let text = """
            virtio-net-pci.0: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:AB:34:56\r
             \\ #net004: index=0,type=tap,ifname=xx1,script=no,downscript=no\r
            e1000.0: index=0,type=nic,model=e1000,macaddr=52:54:00:12:34:57\r
             \\ u0: index=0,type=tap,fd=12\r
            e1000.1: index=0,type=nic,model=e1000,macaddr=52:54:00:12:34:58\r

            """
        let nics = NetworkLayout(text).nics
        #expect(nics.map(\.mac) == ["52:54:00:ab:34:56", "52:54:00:12:34:57", "52:54:00:12:34:58"])
        #expect(nics.map(\.tap) == ["xx1", nil, nil])
        #expect(nics.map(\.descriptor) == [nil, 12, nil])
        #expect(nics.map(\.netdev) == ["#net004", "u0", nil])
    }

    @Test func filesWithOptionsAreFiles() {
        #expect(BlockLayout.path(in: "/a/b.qcow2") == "/a/b.qcow2")
        let text = #"json:{"backing": null, "driver": "qcow2", "file": {"driver": "file", "filename": "/o.qcow2"}}"#
        #expect(BlockLayout.path(in: text) == "/o.qcow2")
        #expect(BlockLayout.path(in: "json:{") == "json:{")
        #expect(BlockLayout.path(in: "nbd://host") == "nbd://host")
    }
}
