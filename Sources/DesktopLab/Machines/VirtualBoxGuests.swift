import Foundation
import Hypervisor
import VirtualBoxHypervisor

/// Guests behind VBoxManage's command line, kept by the stand-in for VirtualBox (see `VBoxManage-standin`).
///
/// Each desktop has programs of its own in a folder: scripts that lead into the desktop's network and name its state.
struct VirtualBoxGuests: LabGuests {
    let desktop: Int
    let topology: LabTopology
    let folders: LabFolders

    private var folder: String { folders.virtualBox(desktop) }
    private var home: String { "\(folder)/home" }
    private static let controller = "Disks"

    var programs: VirtualBoxPrograms {
        var programs = VirtualBoxPrograms(command: folders.virtualBoxCommand(desktop))
        programs.ip = ["nsenter", "--net=/run/netns/\(topology.namespace(ofDesktop: desktop))", "ip"]
        return programs
    }

    private func uuid(of name: String) throws -> String {
        let index = (1...max(1, topology.configuration.machines)).first { topology.name(ofMachine: $0) == name }
        guard let index else { throw LabError.unknownMachine(name) }
        return topology.uuid(ofMachine: index)
    }

    @discardableResult
    private func manage(_ arguments: [String]) async throws -> String {
        try await Command.require(programs.manage + arguments)
    }

    // MARK: Making

    /// Makes the desktop's programs.
    func install() async throws {
        let standIn = try ProductExecutables(topology.configuration).path(of: "VBoxManage-standin")
        let manager = FileManager.default
        for name in ["", "/home", "/machines", "/programs"] {
            try manager.createDirectory(atPath: folder + name, withIntermediateDirectories: true)
        }
        for (name, path) in [
            ("VBoxManage", programs.manage[0]), ("VBoxHeadless", programs.headless[0]),
            ("VirtualBoxVM", programs.window[0]),
        ] {
            // The stand-in is whichever program it is called as.
            let program = "\(folder)/programs/\(name)"
            try manager.createSymbolicLink(atPath: program, withDestinationPath: standIn)
            let script = """
                #!/bin/sh
                export VBOX_USER_HOME='\(home)'
                exec nsenter '--net=/run/netns/\(topology.namespace(ofDesktop: desktop))' '\(program)' "$@"

                """
            try script.write(toFile: path, atomically: true, encoding: .utf8)
            try manager.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        }
    }

    func define(_ guest: DomainDescription) async throws {
        // On every desktop, where it may be restored: VirtualBox makes no taps.
        for desktop in 1...topology.configuration.desktops {
            let namespace = topology.namespace(ofDesktop: desktop)
            for index in guest.nics.indices {
                let tap = tap(of: guest, index)
                try await Command.require(["ip", "-n", namespace, "tuntap", "add", "dev", tap, "mode", "tap"])
                try await Command.require(["ip", "-n", namespace, "link", "set", tap, "master", "br0", "up"])
            }
        }
        try await manage([
            "createvm", "--name", guest.name, "--uuid", guest.uuid, "--basefolder", "\(folder)/machines", "--register",
        ])
        var settings = ["modifyvm", guest.uuid, "--memory", "\(guest.memory)"]
        for (index, mac) in guest.nics.enumerated() {
            settings += [
                "--nic\(index + 1)", "bridged", "--bridgeadapter\(index + 1)", tap(of: guest, index),
                "--nictype\(index + 1)", "virtio", "--macaddress\(index + 1)", mac.filter { $0 != ":" },
            ]
        }
        try await manage(settings + ["--uartmode1", "file", guest.serialLog])
        for (key, value) in [
            ("Kernel", guest.kernel), ("Initrd", guest.initrd), ("Append", guest.commandLine),
            ("Accelerator", guest.accelerator.rawValue),
        ] {
            try await manage(["setextradata", guest.uuid, "StandIn/\(key)", value])
        }
        try await manage(["storagectl", guest.uuid, "--name", Self.controller, "--add", "virtio"])
        for (port, disk) in guest.disks.enumerated() {
            try await manage([
                "storageattach", guest.uuid, "--storagectl", Self.controller, "--port", "\(port)", "--device", "0",
                "--type", "hdd", "--medium", disk,
            ])
        }
    }

    private func tap(of guest: DomainDescription, _ index: Int) -> String { "vb-\(guest.name)-\(index)" }

    func start(_ name: String) async throws { try await manage(["startvm", uuid(of: name), "--type", "headless"]) }

    // MARK: Looking

    func states() async throws -> [String: String] {
        var states: [String: String] = [:]
        for line in try await manage(["list", "vms"]).split(separator: "\n") {
            guard let brace = line.lastIndex(of: "{"), line.hasSuffix("}") else { continue }
            let uuid = String(line[line.index(after: brace)...].dropLast())
            let text = MachineReadable(try await manage(["showvminfo", uuid, "--machinereadable"]))
            guard let info = MachineInfo(text) else { continue }
            states[info.name] = info.state == .off ? "shut off" : info.state.rawValue
        }
        return states
    }

    func suspend(_ name: String) async throws { try await manage(["controlvm", uuid(of: name), "pause"]) }

    func resume(_ name: String) async throws { try await manage(["controlvm", uuid(of: name), "resume"]) }

    /// Between two calls of the stand-in, which has only this one.
    func monitor(_ command: String, of name: String) async throws -> String {
        let socket = "\(home)/run/\(try uuid(of: name)).qmp"
        return try await LabThread.run {
            try MonitorSocket(path: socket, patience: 10_000_000_000).execute(command)
        }
    }

    func emulator(of name: String) -> Int32? {
        guard let uuid = try? uuid(of: name) else { return nil }
        return process(noted: "\(home)/run/\(uuid).pid", with: uuid)
    }
}
