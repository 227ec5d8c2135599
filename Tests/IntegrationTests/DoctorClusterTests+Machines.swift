import DesktopLab
import Foundation
import Testing

/// VMs that cannot be snapshotted as they are, each of them a real one that really runs.
extension DoctorClusterTests {
    /// Devices of a VM besides those that it must have.
    private struct Odd {
        var devices = ""
        var settings = ""
        var nic = "<interface type='bridge'><source bridge='br0'/></interface>"
    }

    /// Runs `body` while such a VM runs on the first desktop; what doctor says of it is given to `body`.
    private func withMachine(
        _ name: String, _ odd: Odd, meanwhile: () async throws -> Void = {},
        body: ([DoctorAnswer.Finding]) throws -> Void
    ) async throws {
        // It finds nothing to boot from, which is all that it needs to run.
        let xml = """
            <domain type='qemu'>
              <name>\(name)</name>
              <memory unit='MiB'>32</memory>
              \(odd.settings)
              <os><type arch='x86_64' machine='pc'>hvm</type></os>
              <devices>
                <emulator>/usr/bin/qemu-system-x86_64</emulator>
                \(odd.nic)
                \(odd.devices)
              </devices>
            </domain>
            """
        let file = "\(lab.folders.guest)/\(name).xml"
        try xml.write(toFile: file, atomically: true, encoding: .utf8)
        let created = try await lab.virsh(["create", file], desktop: 1)
        try #require(created.succeeded, "\(created.standardError)")
        let found: DoctorAnswer
        do {
            try await meanwhile()
            found = try await doctor("--host", "desktop-1")
        } catch {
            _ = try await lab.virsh(["destroy", name], desktop: 1)
            throw error
        }
        _ = try await lab.virsh(["destroy", name], desktop: 1)
        #expect(found.problems.allSatisfy { $0.subject.vm == name || $0.check == "bridge" }, "\(found.problems)")
        try body(found.problems)
    }

    private func disk(_ file: String, type: String = "file", attribute: String = "file") -> String {
        """
        <disk type='\(type)' device='disk'><driver name='qemu' type='\(type == "file" ? "qcow2" : "raw")'/>\
        <source \(attribute)='\(file)'/><target dev='vda' bus='virtio'/></disk>
        """
    }

    private func makeDisk(_ name: String) async throws -> String {
        let file = "\(lab.folders.disks)/\(name).qcow2"
        let made = try await lab.run(["qemu-img", "create", "-q", "-f", "qcow2", file, "8M"], in: .desktop(1))
        try #require(made.succeeded, "\(made.standardError)")
        return file
    }

    private func name(_ finding: DoctorAnswer.Finding) -> String { "\(finding.level) \(finding.check)" }

    @Test("A VM with a NIC in user mode, and one without any")
    func nics() async throws {
        try await withMachine("odd-user", Odd(nic: "<interface type='user'/>")) { problems in
            #expect(problems.map(name) == ["blocker nic"])
            #expect(problems.first?.subject.kind == "nic")
            #expect(problems.first?.text.contains("user") == true)
        }
        try await withMachine("odd-alone", Odd(nic: "")) { problems in
            #expect(problems.map(name) == ["blocker nic"])
        }
    }

    @Test("A VM whose bridge has gone")
    func bridge() async throws {
        _ = try await lab.run(["ip", "link", "add", "br7", "type", "bridge"], in: .desktop(1))
        let nic = "<interface type='bridge'><source bridge='br7'/></interface>"
        try await withMachine("odd-bridge", Odd(nic: nic)) {
            _ = try await lab.run(["ip", "link", "del", "br7"], in: .desktop(1))
        } body: { problems in
            #expect(problems.map(name) == ["blocker bridge"])
            #expect(problems.first?.text.contains("br7") == true)
        }
    }

    @Test("A VM whose disk is a block device")
    func blockDevice() async throws {
        let file = "\(lab.folders.disks)/odd-block.raw"
        try #require(FileManager.default.createFile(atPath: file, contents: Data(count: 8 << 20)))
        let loop = try await lab.run(["losetup", "--find", "--show", file], in: .desktop(1))
        let device = loop.standardOutput.trimmingCharacters(in: .whitespacesAndNewlines)
        try #require(loop.succeeded && device.hasPrefix("/dev/loop"), "\(loop.standardError)")
        let odd = Odd(devices: disk(device, type: "block", attribute: "dev"))
        let result = await Result {
            try await withMachine("odd-block", odd) { problems in
                #expect(problems.map(name) == ["blocker disk"])
                #expect(problems.first?.subject.disk == "vda")
            }
        }
        _ = try await lab.run(["losetup", "--detach", device], in: .desktop(1))
        try result.get()
    }

    @Test("A VM whose disk's file was removed")
    func missingFile() async throws {
        let file = try await makeDisk("odd-missing")
        try await withMachine("odd-missing", Odd(devices: disk(file))) {
            try FileManager.default.removeItem(atPath: file)
        } body: { problems in
            #expect(problems.map(name) == ["blocker disk"])
            #expect(problems.first?.text.contains(file) == true)
        }
    }

    @Test("A VM with a device whose state no image holds")
    func device() async throws {
        let file = try await makeDisk("odd-device")
        let share = """
            <filesystem type='mount' accessmode='mapped'><source dir='\(lab.folders.guest)'/><target dir='share'/></filesystem>
            """
        try await withMachine("odd-device", Odd(devices: disk(file) + share)) { problems in
            #expect(problems.map(name) == ["blocker cut"])
            #expect(problems.first?.text.contains("a shared folder (share)") == true)
        }
    }

    @Test("A VM whose memory is shared stays paused while its image is saved")
    func sharedMemory() async throws {
        let file = try await makeDisk("odd-shared")
        let shared = "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"
        try await withMachine("odd-shared", Odd(devices: disk(file), settings: shared)) { problems in
            #expect(problems.map(name) == ["warning cut"])
            #expect(problems.first?.text.contains("its memory is shared") == true)
        }
    }

    @Test("A VM that has all it needs, while its neighbours do not change")
    func nothingOdd() async throws {
        let file = try await makeDisk("odd-sound")
        try await withMachine("odd-sound", Odd(devices: disk(file))) { #expect($0.isEmpty) }
    }
}

extension Result where Failure == any Error {
    fileprivate init(_ body: () async throws -> Success) async {
        do {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}
