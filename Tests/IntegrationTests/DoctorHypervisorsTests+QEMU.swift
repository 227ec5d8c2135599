import DesktopLab
import Foundation
import Hypervisor
import Testing

/// VMs under QEMU alone that cannot be snapshotted as they are, each of them a real one that really runs.
extension DoctorHypervisorsTests {
    /// Runs `body` with what doctor says of its desktop while such a VM runs there. It finds nothing to boot from, which is
    /// all that it needs to run.
    private func withGuest(
        _ name: String, _ options: [String], uuid: String? = UUID().uuidString.lowercased(), nic: [String]? = nil,
        body: ([DoctorAnswer.Finding]) throws -> Void
    ) async throws {
        let folder = lab.folders.guests(1)
        let noted = "\(folder)/\(name).pid"
        let tap = [
            "-netdev", "tap,id=net0,ifname=odd0,script=no,downscript=no", "-device", "virtio-net-pci,netdev=net0",
        ]
        let words =
            [
                "qemu-system-x86_64", "-name", "guest=\(name)", "-machine", "pc", "-accel", "tcg", "-m", "32",
                "-nodefaults", "-display", "none", "-daemonize", "-pidfile", noted, "-qmp",
                "unix:\(folder)/\(name).qmp,server=on,wait=off",
            ] + (uuid.map { ["-uuid", $0] } ?? []) + (nic ?? tap) + options
        try await withTap("odd0") {
            try await ending {
                try end(noted: noted)
                unlink("\(folder)/\(name).qmp")
            } _: {
                let started = try await lab.run(words, in: .desktop(1))
                try #require(started.succeeded, "\(started.standardError)")
                let answer = try await doctor("--host", "desktop-1")
                #expect(problems(answer).allSatisfy { $0.subject.vm == name }, "\(answer.problems)")
                try body(problems(answer))
            }
        }
    }

    /// Ends the QEMU whose number is in that file, if it was started.
    private func end(noted file: String) throws {
        guard let text = try? String(contentsOfFile: file, encoding: .utf8) else { return }
        let pid = try #require(Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)))
        #expect(GuestProcess(pid: pid)?.end() != false)
        unlink(file)
    }

    private func name(_ finding: DoctorAnswer.Finding) -> String { "\(finding.level) \(finding.check)" }

    @Test(
        "A VM whose options or devices cannot be carried over: they are named",
        arguments: [
            (["-fw_cfg", "name=opt/odd,string=1"], "the option -fw_cfg"), (["-device", "edu"], "the device edu"),
            (["-drive", "file=/dev/shm/odd-firmware,format=raw,if=pflash"], "firmware in flash"),
        ] as [([String], String)])
    func options(options: [String], words: String) async throws {
        let firmware = "/dev/shm/odd-firmware"
        try #require(FileManager.default.createFile(atPath: firmware, contents: Data(count: 128 << 10)))
        defer { unlink(firmware) }
        try await withGuest("odd-option", options) { problems in
            #expect(problems.count == 1 && problems.first?.level == "blocker", "\(problems)")
            #expect(problems.first?.text.contains(words) == true, "\(problems)")
            #expect(problems.first?.text.contains("Start it without.") == true, "\(problems)")
        }
    }

    @Test("A VM without a UUID")
    func nameless() async throws {
        try await withGuest("odd-nameless", [], uuid: nil) { problems in
            #expect(problems.map(name) == ["blocker cut"], "\(problems)")
            #expect(problems.first?.text.contains("-uuid") == true)
        }
    }

    @Test("A VM with a NIC in user mode, and one on a tap of no bridge: the way out is named")
    func userMode() async throws {
        try await withGuest(
            "odd-user", [], nic: ["-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0"]
        ) { problems in
            #expect(problems.map(name) == ["blocker nic"], "\(problems)")
            #expect(problems.first?.text.contains("(user)") == true, "\(problems)")
            #expect(problems.first?.text.contains("in the place of `-netdev user`") == true, "\(problems)")
            #expect(problems.first?.text.contains("<interface") == false, "\(problems)")
        }
        let loose = "tap,id=net0,ifname=odd1,script=no,downscript=no"
        try await withGuest("odd-loose", [], nic: ["-netdev", loose, "-device", "virtio-net-pci,netdev=net0"]) {
            problems in
            #expect(problems.map(name) == ["blocker nic"], "\(problems)")
            #expect(problems.first?.text.contains("ip link set odd1 master br0") == true, "\(problems)")
        }
    }

    @Test("A VM whose memory is shared stays paused while its image is saved, with the reason")
    func sharedMemory() async throws {
        let options = ["-object", "memory-backend-memfd,id=mem,size=32M,share=on", "-machine", "memory-backend=mem"]
        try await withGuest("odd-shared", options) { problems in
            #expect(problems.map(name) == ["warning cut"], "\(problems)")
            #expect(problems.first?.text.contains("its memory is shared") == true, "\(problems)")
            #expect(problems.first?.remedy?.contains("--mode colour") == true, "\(problems)")
        }
    }

    @Test("A VM whose disk is raw has nothing in its way")
    func rawDisk() async throws {
        let file = "\(lab.folders.disks)/odd-raw.raw"
        try #require(FileManager.default.createFile(atPath: file, contents: Data(count: 1 << 20)))
        let drive = "file=\(file),format=raw,if=none,id=disk0"
        try await withGuest("odd-raw", ["-drive", drive, "-device", "virtio-blk-pci,drive=disk0"]) { problems in
            #expect(problems.isEmpty, "\(problems)")
        }
    }

    @Test("A VM whose monitor another program holds")
    func heldMonitor() async throws {
        let machine = lab.machines[0]
        // A QEMU that runs nothing is a client as any other, in the desktop's network.
        let noted = "\(lab.folders.guests(1))/holder.pid"
        let monitor = "socket,id=held,path=\(lab.folders.guests(1))/\(machine.name).qmp"
        let started = try await lab.run(
            [
                "qemu-system-x86_64", "-machine", "none", "-nodefaults", "-display", "none", "-daemonize", "-pidfile",
                noted, "-chardev", monitor,
            ], in: .desktop(1))
        try #require(started.succeeded, "\(started.standardError)")
        let answer: DoctorAnswer
        do {
            answer = try await doctor(exercise.cluster)
        } catch {
            try end(noted: noted)
            throw error
        }
        try end(noted: noted)
        #expect(names(answer) == ["blocker member", "blocker vm-state"], "\(answer.problems)")
        for found in problems(answer) {
            #expect(found.subject.vm == machine.name)
            #expect(found.text.contains("Another program holds the monitor"), "\(found)")
            #expect(found.text.contains("second -qmp socket"), "\(found)")
        }
    }

    @Test("A VM whose QEMU hangs; again and again it is named, and it alone")
    func hangingEmulator() async throws {
        let machine = lab.machines[0]
        let pid = try #require(lab.emulator(of: machine.name, on: machine.desktop))
        kill(pid, SIGSTOP)
        try await ending {
            kill(pid, SIGCONT)
        } _: {
            // Each look leaves a client that waits; soon the socket takes none.
            for question in [exercise.cluster, "--host=desktop-1", "--host=desktop-1"] {
                let answer = try await doctor(question)
                let isHost = question != exercise.cluster
                #expect(
                    names(answer) == (isHost ? [] : ["blocker member"]) + ["blocker vm-state"], "\(answer.problems)")
                for found in problems(answer) {
                    #expect(found.subject.vm == machine.name)
                    #expect(found.text.contains("does not answer on its monitor"), "\(found)")
                }
            }
        }
    }
}
