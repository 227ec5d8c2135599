import DesktopLab
import Foundation
import Testing

/// A small lab of all hypervisors, with the hold budget that VMs of VirtualBox need: they stand still while they are saved.
private let mixedLab = {
    var configuration = FaultCampaign.configuration(directory: "/var/lib/holdfast-it-doctors", hypervisor: .mixed)
    configuration.holdBudget = nil
    return configuration
}()

/// `holdfast doctor` on desktops with VMs under QEMU alone, libvirt and VirtualBox. What stands in the way is really there;
/// of VirtualBox as far as the stand-in for it has it.
@Suite(
    "Desktops with several hypervisors that are looked at", .serialized, .enabled(if: isRoot), .timeLimit(.minutes(10)),
    .lab(mixedLab))
struct DoctorHypervisorsTests {
    let exercise: ClusterExercise
    var lab: Lab { exercise.lab }

    init() throws { exercise = try CurrentLab.required() }

    /// The third machine of a mixed lab, on its first desktop.
    private var underVirtualBox: Lab.Machine { lab.machines[2] }

    func doctor(_ arguments: String...) async throws -> DoctorAnswer {
        try DoctorAnswer(try await lab.holdfast(["doctor"] + arguments + ["--output", "json"]))
    }

    private func cluster() async throws -> DoctorAnswer { try await doctor(exercise.cluster) }

    /// But for what is so with every VM of VirtualBox.
    func problems(_ answer: DoctorAnswer) -> [DoctorAnswer.Finding] {
        answer.problems.filter { !($0.check == "cut" && $0.text.contains("VirtualBox saves a VM's memory only")) }
    }

    func names(_ answer: DoctorAnswer) -> [String] { problems(answer).map { "\($0.level) \($0.check)" }.sorted() }

    /// Runs `body` and then `ending`, whatever happens.
    func ending(
        _ ending: () async throws -> Void, _ body: () async throws -> Void
    ) async throws {
        do {
            try await body()
        } catch {
            try await ending()
            throw error
        }
        try await ending()
    }

    // MARK: VBoxManage

    /// Runs `body` while the desktop's VBoxManage is another program, or none.
    private func withVBoxManage(
        _ script: String?, on desktop: Int, _ body: () async throws -> Void
    ) async throws {
        let command = lab.folders.virtualBoxCommand(desktop)
        let manager = FileManager.default
        try manager.moveItem(atPath: command, toPath: command + ".away")
        try await ending {
            try? manager.removeItem(atPath: command)
            try manager.moveItem(atPath: command + ".away", toPath: command)
        } _: {
            if let script {
                try script.write(toFile: command, atomically: true, encoding: .utf8)
                try manager.setAttributes([.posixPermissions: 0o755], ofItemAtPath: command)
            }
            try await body()
        }
    }

    @Test(
        "A VBoxManage that is not there, is none, or fails: it is named, its member too, and no other",
        arguments: [
            (nil, "cannot be run"), ("#!/bin/sh\necho Good morning\n", "`Good morning`"),
            ("#!/bin/sh\necho 'VBoxManage: error: The object is not ready' >&2\nexit 1\n", "The object is not ready"),
        ] as [(String?, String)])
    func brokenVBoxManage(script: String?, words: String) async throws {
        try await withVBoxManage(script, on: 1) {
            let answer = try await cluster()
            #expect(answer.status == 33)
            #expect(names(answer) == ["blocker hypervisor", "blocker member"], "\(answer.problems)")
            #expect(answer.problems.allSatisfy { $0.text.contains(words) }, "\(answer.problems)")
            #expect(answer.problems.first { $0.check == "hypervisor" }?.subject.host == "desktop-1")
            #expect(answer.problems.first { $0.check == "member" }?.subject.vm == underVirtualBox.name)
            // The others are tested all the same.
            #expect(answer.diagnosis.findings.contains { $0.check == "path" && $0.level == "ok" })
        }
    }

    @Test("A VBoxManage that hangs keeps nobody from the VMs of the others")
    func hangingVBoxManage() async throws {
        let faults = "\(lab.folders.virtualBox(1))/home/faults"
        try "list hang\n".write(toFile: faults, atomically: true, encoding: .utf8)
        try await ending {
            try FileManager.default.removeItem(atPath: faults)
        } _: {
            let answer = try await doctor("--host", "desktop-1")
            #expect(names(answer) == ["blocker hypervisor"], "\(answer.problems)")
            let found = try #require(answer.problems.first)
            #expect(found.text == "virtualbox does not answer.")
            #expect(found.remedy?.contains("VBoxSVC") == true)
            #expect(found.remedy?.contains("libvirt") == false)
            let name = lab.machines[0].name
            #expect(
                answer.diagnosis.findings.contains { $0.check == "cut" && $0.level == "ok" && $0.subject.vm == name })
        }
    }

    @Test("A VirtualBox of another desktop that is out of order is told as a place where no member can be restored")
    func brokenElsewhere() async throws {
        try await withVBoxManage(nil, on: 2) {
            let answer = try await cluster()
            // None of the members there is its own.
            #expect(names(answer) == ["warning hypervisor", "warning placement"], "\(answer.problems)")
            #expect(answer.status == 0)
            let placement = try #require(problems(answer).first { $0.check == "placement" })
            #expect(placement.subject.vm == underVirtualBox.name)
            #expect(placement.text.contains("desktop-2: its virtualbox is out of order"))
            #expect(try await doctor("--host", "desktop-2").names == ["blocker hypervisor"])
        }
    }

    @Test("A member that no other desktop could take, since none has its hypervisor")
    func noOtherPlace() async throws {
        let file = lab.folders.agentConfiguration(2)
        let former = try String(contentsOfFile: file, encoding: .utf8)
        func restart(with text: String) async throws {
            try await lab.killAgent(desktop: 2)
            try text.write(toFile: file, atomically: true, encoding: .utf8)
            try await lab.restartAgent(desktop: 2)
        }
        try await restart(with: former.replacing(lab.folders.virtualBoxCommand(2), with: ""))
        try await ending {
            try await restart(with: former)
        } _: {
            let answer = try await cluster()
            #expect(names(answer) == ["warning placement"], "\(answer.problems)")
            let found = try #require(problems(answer).first)
            #expect(found.subject.vm == underVirtualBox.name)
            #expect(found.text.contains("desktop-2: it needs virtualbox, and the host has libvirt, qemu"))
            let places = answer.diagnosis.findings.filter { $0.check == "placement" && $0.level == "ok" }
            #expect(places.count == 3)
            #expect(places.first { $0.subject.vm == underVirtualBox.name }?.text.contains("desktop-1 alone") == true)
        }
    }

    // MARK: VMs of VirtualBox

    @Test("A VM of VirtualBox that its owner, or the desktop's power management, has paused")
    func paused() async throws {
        let machine = underVirtualBox
        try await lab.suspend(machine.name, on: machine.desktop)
        try await ending {
            try await lab.resume(machine.name, on: machine.desktop)
        } _: {
            let answer = try await cluster()
            #expect(names(answer) == ["blocker member", "blocker vm-state"], "\(answer.problems)")
            #expect(answer.problems.allSatisfy { $0.subject.vm == machine.name })
            #expect(answer.problems.first { $0.check == "vm-state" }?.remedy == "Resume or start it.")
        }
        try await manage("standin", "sleep", machine.uuid)
        try await ending {
            try await manage("standin", "wake", machine.uuid)
        } _: {
            let answer = try await cluster()
            #expect(names(answer) == ["blocker member", "blocker vm-state"], "\(answer.problems)")
            let found = try #require(answer.problems.first { $0.check == "vm-state" })
            #expect(found.text.contains("paused by the desktop's power management"))
        }
    }

    @discardableResult
    private func manage(_ arguments: String...) async throws -> String {
        let result = try await lab.run([lab.folders.virtualBoxCommand(1)] + arguments, in: .desktop(1))
        try #require(result.succeeded, "\(arguments): \(result.standardError)")
        return result.standardOutput
    }

    @Test("A VM of VirtualBox with a NAT NIC and one that is bridged past the packet filter: the way out is named")
    func virtualBoxNICs() async throws {
        let (name, uuid) = ("odd-nics", UUID().uuidString.lowercased())
        let folder = "\(lab.folders.virtualBox(1))/machines"
        try await withTap("odd0") {
            try await manage("createvm", "--name", name, "--uuid", uuid, "--basefolder", folder, "--register")
            try await ending {
                _ = try await lab.run(
                    [lab.folders.virtualBoxCommand(1), "controlvm", uuid, "poweroff"], in: .desktop(1))
                try await manage("unregistervm", uuid, "--delete")
            } _: {
                try await manage(
                    "modifyvm", uuid, "--memory", "32", "--nic1", "nat", "--nic2", "bridged", "--bridgeadapter2", "odd0"
                )
                try await manage("startvm", uuid, "--type", "headless")
                // The stand-in's guests have no other NICs than taps, so that one is moved behind its back.
                let information = try await manage("showvminfo", uuid, "--machinereadable")
                let line = try #require(information.split(separator: "\n").first { $0.hasPrefix("CfgFile=") })
                let settings = line.dropFirst("CfgFile=".count).filter { $0 != "\"" }
                let text = try String(contentsOfFile: settings, encoding: .utf8)
                try text.replacing("\"odd0\"", with: "\"br0\"")
                    .write(toFile: settings, atomically: true, encoding: .utf8)

                let answer = try await doctor("--host", "desktop-1")
                #expect(names(answer) == ["blocker nic", "blocker nic"], "\(answer.problems)")
                for (number, kind) in [(1, "VirtualBox nat"), (2, "VirtualBox bridged `br0`")] {
                    let found = try #require(
                        answer.problems.first { $0.text.contains("(\(kind))") }, "\(answer.problems)")
                    #expect(found.subject.vm == name)
                    #expect(found.text.contains("VBoxManage modifyvm \(uuid) --nic\(number) bridged"))
                    #expect(!found.text.contains("<interface"))
                }
            }
        }
    }

    // MARK: What there is

    @Test("A desktop without any QEMU on which VMs could be restored")
    func noEmulator() async throws {
        let folder = "\(lab.folders.root)/few-programs"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for program in ["/usr/bin/qemu-img", "/usr/bin/nsenter", "/usr/sbin/ip"] {
            try FileManager.default.createSymbolicLink(
                atPath: "\(folder)/\(program.split(separator: "/").last ?? "")", withDestinationPath: program)
        }
        let arguments = ["doctor", "--config", lab.folders.agentConfiguration(1), "--output", "json"]
        let answer = try DoctorAnswer(
            try await lab.agentProgram(arguments, desktop: 1, through: ["/usr/bin/env", "PATH=\(folder)"]))
        // The agent runs, which alone may try out cuts.
        #expect(answer.names == ["warning cut", "warning hypervisor"], "\(answer.problems)")
        #expect(answer.problems.contains { $0.text.hasPrefix("No QEMU is installed here") })
    }

    @Test("Nothing else stands in the way of a sound cluster of three hypervisors, and it is snapshotted")
    func sound() async throws {
        let ends = lab.logEnds()
        let answer = try await cluster()
        #expect(answer.status == 0)
        // The one thing that cannot be otherwise.
        let only = try #require(answer.problems.first)
        #expect(answer.problems.count == 1, "\(answer.problems)")
        #expect(only.check == "cut" && only.level == "warning" && only.subject.vm == underVirtualBox.name)
        #expect(only.remedy?.contains("cannot be changed") == true)
        #expect(only.remedy?.contains("--mode colour") == true)

        let reached = answer.diagnosis.findings.filter { $0.check == "hypervisor" }
        #expect(reached.count == 6 && reached.allSatisfy { $0.level == "ok" })
        for desktop in ["desktop-1", "desktop-2"] {
            let texts = reached.filter { $0.subject.host == desktop }.map(\.text)
            for start in [
                "libvirt can be reached (qemu ", "qemu can be reached (qemu ", "virtualbox can be reached (virtualbox ",
            ] {
                #expect(texts.contains { $0.hasPrefix(start) && $0.dropFirst(start.count).first?.isNumber == true })
            }
        }
        let places = answer.diagnosis.findings.filter { $0.check == "placement" }
        #expect(places.map(\.text) == Array(repeating: "It could be restored on desktop-1, desktop-2.", count: 3))
        #expect(answer.diagnosis.findings.contains { $0.check == "path-time" && $0.level == "ok" })

        try await lab.waitUntilTalking(since: ends)
        let snapshot = try await exercise.snapshot()
        #expect(snapshot.sealed)
        #expect(snapshot.packetsOutsideEpoch == 0)
        _ = try await lab.holdfast(["snapshot", "delete", snapshot.id])
        #expect(try await exercise.waysToUserSpace() == 0)
    }
}

extension DoctorHypervisorsTests {
    /// Runs `body` while the first desktop has a tap more on its bridge.
    func withTap(_ tap: String, _ body: () async throws -> Void) async throws {
        func link(_ words: String...) async throws {
            let result = try await lab.run(["ip"] + words, in: .desktop(1))
            try #require(result.succeeded, "\(words): \(result.standardError)")
        }
        try await link("tuntap", "add", "dev", tap, "mode", "tap")
        try await ending {
            try await link("link", "del", tap)
        } _: {
            try await link("link", "set", tap, "master", "br0", "up")
            try await body()
        }
    }
}
