import DesktopLab
import Foundation
import Glibc
import Hypervisor
import HypervisorConformance
import Logging

@testable import VirtualBoxHypervisor

/// A desktop with the stand-in for VirtualBox, and one real guest with two disks on a tap of a bridge.
struct StandInDesktop: Sendable {
    static let uuid = "766d626f-7853-4d61-8000-000000000001"
    static let machineName = "vm-1"

    let folder: String
    let namespace: String
    let workspace: String
    let scratch: String
    var home: String { "\(folder)/home" }
    var serialLog: String { "\(folder)/serial.log" }
    var programs: VirtualBoxPrograms {
        VirtualBoxPrograms(
            manage: ["\(folder)/bin/VBoxManage"], headless: ["\(folder)/bin/VBoxHeadless"],
            window: ["\(folder)/bin/VirtualBoxVM"], ip: ["nsenter", "--net=/run/netns/\(namespace)", "ip"])
    }

    /// Built with the tests.
    private static var standIn: String {
        get throws {
            var root = URL(filePath: #filePath)
            for _ in 0..<3 { root = root.deletingLastPathComponent() }
            let path = root.appending(path: ".build/debug/VBoxManage-standin").path
            guard access(path, X_OK) == 0 else { throw Breach("there is no \(path)") }
            return path
        }
    }

    static func with(_ body: (StandInDesktop) async throws -> Void) async throws {
        let desktop = StandInDesktop()
        do {
            try await desktop.make()
            try await body(desktop)
        } catch {
            await desktop.remove()
            throw error
        }
        await desktop.remove()
    }

    private init() {
        let id = UUID().uuidString.lowercased().prefix(8)
        folder = "/tmp/hf-vbox-\(id)"
        namespace = "hfvb-\(id)"
        workspace = "\(folder)/workspace"
        scratch = "\(folder)/scratch"
    }

    private func make() async throws {
        let image = try await GuestImage.prepare()
        for name in ["home", "bin", "real", "workspace", "scratch", "disks"] {
            try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
        }
        for arguments in [
            ["netns", "add", namespace], ["-n", namespace, "link", "add", "br0", "type", "bridge"],
            ["-n", namespace, "link", "set", "br0", "up"],
            ["-n", namespace, "tuntap", "add", "dev", "vbtap1", "mode", "tap"],
            ["-n", namespace, "link", "set", "vbtap1", "master", "br0", "up"],
        ] {
            try await Command.require(["ip"] + arguments)
        }
        for name in ["VBoxManage", "VBoxHeadless", "VirtualBoxVM"] {
            try FileManager.default.createSymbolicLink(
                atPath: "\(folder)/real/\(name)", withDestinationPath: try Self.standIn)
            let script = """
                #!/bin/sh
                export VBOX_USER_HOME=\(home)
                exec nsenter --net=/run/netns/\(namespace) \(folder)/real/\(name) "$@"

                """
            try script.write(toFile: "\(folder)/bin/\(name)", atomically: true, encoding: .utf8)
            chmod("\(folder)/bin/\(name)", 0o755)
        }
        try await manage(
            "createvm", "--name", Self.machineName, "--uuid", Self.uuid, "--basefolder", "\(folder)/machines",
            "--register")
        try await manage(
            "modifyvm", Self.uuid, "--memory", "128", "--nic1", "bridged", "--bridgeadapter1", "vbtap1", "--nictype1",
            "virtio", "--macaddress1", "525400770001", "--uartmode1", "file", serialLog)
        let append =
            "console=ttyS0 quiet loglevel=1 panic=-1 no_timer_check random.trust_cpu=on tsc=unstable "
            + "clocksource=acpi_pm mitigations=off hf.index=1 hf.members=1 hf.rate=20 hf.ipv6=0 hf.report=50 hf.disk=20"
        for (key, value) in [("Kernel", image.kernel), ("Initrd", image.initrd), ("Append", append)] {
            try await manage("setextradata", Self.uuid, "StandIn/\(key)", value)
        }
        try await manage("storagectl", Self.uuid, "--name", "Disks", "--add", "virtio")
        for (port, path) in disks.enumerated() {
            try await manage("createmedium", "disk", "--filename", path, "--size", port == 0 ? "32" : "4")
            try await manage(
                "storageattach", Self.uuid, "--storagectl", "Disks", "--port", "\(port)", "--device", "0", "--type",
                "hdd", "--medium", path)
        }
    }

    var disks: [String] { ["\(folder)/disks/first.qcow2", "\(folder)/disks/second.qcow2"] }
    var settingsFile: String { "\(folder)/machines/\(Self.machineName)/\(Self.machineName).vbox" }

    private func remove() async {
        await endEverything()
        _ = try? await Command.run(["ip", "netns", "del", namespace])
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// Whatever lives in the namespace is ours.
    private func endEverything() async {
        for _ in 0..<100 {
            let said = (try? await Command.run(["ip", "netns", "pids", namespace]).standardOutput) ?? ""
            let processes = said.split(separator: "\n").compactMap { Int32($0) }
            if processes.isEmpty { return }
            for process in processes { kill(process, SIGKILL) }
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    // MARK: Use

    @discardableResult
    func manage(_ arguments: String...) async throws -> String {
        try await Command.require(programs.manage + arguments)
    }

    func driver(patience: CallPatience = CallPatience()) -> VirtualBoxDriver {
        VirtualBoxDriver(
            programs: programs, patience: patience, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// Number of the process of the guest's QEMU.
    var emulator: Int32? {
        guard let text = try? String(contentsOfFile: "\(home)/run/\(Self.uuid).pid", encoding: .utf8),
            let process = Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)),
            let words = FileManager.default.contents(atPath: "/proc/\(process)/cmdline"),
            String(decoding: words, as: UTF8.self).contains(Self.uuid)
        else { return nil }
        return process
    }

    func monitor() throws -> MonitorSocket { try MonitorSocket(path: "\(home)/run/\(Self.uuid).qmp") }

    /// Tells the stand-in what to do wrong: lines of `verb fault [times]`.
    func fault(_ lines: String...) throws {
        try lines.map { $0 + "\n" }.joined().write(toFile: "\(home)/faults", atomically: true, encoding: .utf8)
    }
}
