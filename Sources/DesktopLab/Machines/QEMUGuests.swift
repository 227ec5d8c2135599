import Foundation
import Hypervisor

/// Guests under QEMU alone, started on one desktop as anyone would start them: a command line, a tap on the bridge, and
/// a monitor socket for the agent. Beside it a second one, for the lab.
struct QEMUGuests: LabGuests {
    let desktop: Int
    let topology: LabTopology
    let folders: LabFolders

    private var namespace: String { topology.namespace(ofDesktop: desktop) }
    private var folder: String { folders.guests(desktop) }

    private func uuid(of name: String) -> String? {
        (1...max(1, topology.configuration.machines)).first { topology.name(ofMachine: $0) == name }
            .map(topology.uuid(ofMachine:))
    }

    // MARK: Starting

    func define(_ guest: DomainDescription) async throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for index in guest.nics.indices { try await makeTap(tap(of: guest, index)) }
        let words = try JSONEncoder().encode(command(for: guest))
        try words.write(to: URL(filePath: "\(folder)/\(guest.name).command"), options: .atomic)
    }

    private func tap(of guest: DomainDescription, _ index: Int) -> String { "tap-\(guest.name)-\(index)" }

    private func makeTap(_ tap: String) async throws {
        try await Command.require(["ip", "-n", namespace, "tuntap", "add", tap, "mode", "tap"])
        try await Command.require(["ip", "-n", namespace, "link", "set", tap, "master", "br0", "up"])
    }

    private func command(for guest: DomainDescription) -> [String] {
        var words = [
            "qemu-system-x86_64", "-name", "guest=\(guest.name)", "-uuid", guest.uuid, "-machine",
            "pc,hpet=off,usb=off", "-accel", guest.accelerator.rawValue, "-cpu",
            guest.accelerator == .kvm ? "host" : "max", "-m", "\(guest.memory)", "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot", "-kernel", guest.kernel, "-initrd", guest.initrd, "-append",
            guest.commandLine, "-chardev", "file,id=console,path=\(guest.serialLog),append=on", "-serial",
            "chardev:console",
        ]
        for (index, disk) in guest.disks.enumerated() {
            words += [
                "-drive", "file=\(disk),format=qcow2,if=none,id=disk\(index)", "-device",
                "virtio-blk-pci,drive=disk\(index)",
            ]
        }
        for (index, mac) in guest.nics.enumerated() {
            words += [
                "-netdev", "tap,id=net\(index),ifname=\(tap(of: guest, index)),script=no,downscript=no", "-device",
                "virtio-net-pci,netdev=net\(index),mac=\(mac)",
            ]
        }
        return words + [
            "-qmp", "unix:\(folder)/\(guest.name).qmp,server=on,wait=off", "-qmp",
            "unix:\(folder)/\(guest.name).monitor,server=on,wait=off", "-pidfile", "\(folder)/\(guest.name).pid",
        ]
    }

    func start(_ name: String) async throws {
        guard let data = FileManager.default.contents(atPath: "\(folder)/\(name).command") else {
            throw LabError.unknownMachine(name)
        }
        let words = try JSONDecoder().decode([String].self, from: data)
        // Of one that was killed.
        let files = ["pid", "qmp", "monitor"].map { "\(folder)/\(name).\($0)" }
        for file in files { unlink(file) }
        let log = folders.log("qemu-\(name)")
        let process = try DaemonProcess.start(
            ["ip", "netns", "exec", namespace] + words, role: "QEMU of \(name)", log: log)
        let end = ContinuousClock.now + .seconds(20)
        while !files.allSatisfy({ FileManager.default.fileExists(atPath: $0) }) || emulator(of: name) == nil {
            guard process.isRunning, ContinuousClock.now < end else {
                throw LabError.timedOut("the start of \(name)", detail: LabFolders.tail(of: log))
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    // MARK: Looking

    func emulator(of name: String) -> Int32? {
        guard let uuid = uuid(of: name) else { return nil }
        // One that the agent has restored is noted in its folder.
        return process(noted: "\(folder)/\(name).pid", with: uuid)
            ?? process(noted: "\(folders.agentMachines(desktop))/\(uuid).pid", with: uuid)
    }

    /// The lab's own monitor of the machine.
    private func socket(of name: String) -> String? {
        guard let uuid = uuid(of: name) else { return nil }
        if process(noted: "\(folder)/\(name).pid", with: uuid) != nil { return "\(folder)/\(name).monitor" }
        if process(noted: "\(folders.agentMachines(desktop))/\(uuid).pid", with: uuid) != nil {
            return "\(folders.agentMachines(desktop))/\(uuid).monitor"
        }
        return nil
    }

    func states() async throws -> [String: String] {
        try await LabThread.run {
            var states: [String: String] = [:]
            for machine in 1...max(1, topology.configuration.machines) {
                let name = topology.name(ofMachine: machine)
                if FileManager.default.fileExists(atPath: "\(folder)/\(name).command") { states[name] = "shut off" }
                guard let socket = socket(of: name) else { continue }
                do {
                    states[name] = try MonitorSocket(path: socket).runState() ?? "unknown"
                } catch {
                    // It may have ended just now.
                    if emulator(of: name) != nil { throw error }
                }
            }
            return states
        }
    }

    func suspend(_ name: String) async throws { _ = try await monitor(MonitorCommand.text("stop"), of: name) }

    func resume(_ name: String) async throws { _ = try await monitor(MonitorCommand.text("cont"), of: name) }

    func monitor(_ command: String, of name: String) async throws -> String {
        guard let socket = socket(of: name) else { throw LabError.unknownMachine(name) }
        return try await LabThread.run { try MonitorSocket(path: socket).execute(command) }
    }
}

/// Runs what blocks on a thread of its own.
enum LabThread {
    static func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
        }
    }
}
