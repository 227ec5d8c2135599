import Foundation
import Glibc

/// `startvm`, `controlvm`, `adoptstate`, `discardstate`, and what a desktop's power management does to a VM.
struct Control {
    let home: Home
    let faults: Set<Fault>

    /// In the settings of a VM that the desktop's power management has paused.
    private static let sleeping = "StandIn/Sleeping"

    private func on(_ options: Options, _ body: (inout Machine) throws -> Void) throws {
        let found = try home.find(try options.word(0, "VM name"))
        if faults.contains(.lie) { return }
        try home.locked(found.uuid) {
            var machine = try Machine(uuid: found.uuid, file: found.file, home: home)
            try body(&machine)
        }
    }

    func start(_ options: Options) throws {
        let word = try options.word(0, "VM name")
        print("Waiting for VM \"\(word)\" to power on...")
        try on(options) { try Self.start(&$0, paused: false) }
        print("VM \"\(word)\" has been successfully started.")
    }

    static func start(_ machine: inout Machine, paused: Bool) throws {
        try machine.requireOff()
        machine.guest.end()
        let state = machine.model.stateFile.map(machine.path)
        machine.log("Console: Machine state changed to '\(state == nil ? "Starting" : "Restoring")'")
        try machine.home.busy(machine.uuid, state == nil ? "starting" : "restoring") {
            try machine.guest.start(from: state, paused: paused)
        }
        // The saved state has been read, and is of no use once the guest has gone on.
        if let state {
            machine.model.stateFile = nil
            try machine.save()
            unlink(state)
        }
    }

    func control(_ options: Options) throws {
        let verb = try options.word(1, "subcommand")
        try on(options) { machine in
            try machine.requireOn()
            switch verb {
            case "pause": try pause(machine)
            case "resume": try resume(machine)
            case "poweroff":
                machine.guest.end()
                print("0%...10%...20%...30%...40%...50%...60%...70%...80%...90%...100%")
            case "savestate": try saveState(&machine)
            default: throw Refusal("Invalid parameter '\(verb)'", code: .syntax)
            }
        }
    }

    private func pause(_ machine: Machine) throws {
        guard machine.state() == "running" else {
            throw Refusal("Invalid machine state: Paused", code: .invalidVMState)
        }
        machine.log("Pausing VM execution, reason 'unspecified'")
        try machine.guest.pause()
    }

    private func resume(_ machine: Machine) throws {
        if machine.model.extraData[Self.sleeping] != nil {
            throw Refusal("VM is paused due to host power management", code: .invalidVMState)
        }
        guard machine.state() == "paused" else {
            throw Refusal(
                "Cannot resume the machine as it is not paused (machine state: Running)", code: .invalidVMState)
        }
        machine.log("Resuming VM execution, reason 'unspecified'")
        try machine.guest.resume()
    }

    private func saveState(_ machine: inout Machine) throws {
        let file = "Snapshots/\(Snapshots.time()).sav"
        try FileManager.default.createDirectory(atPath: machine.snapshotFolder, withIntermediateDirectories: true)
        try home.busy(machine.uuid, "saving") {
            try machine.guest.pause()
            try machine.guest.saveState(to: machine.path(file))
        }
        machine.guest.end()
        machine.model.stateFile = file
        try machine.save()
    }

    func adopt(_ options: Options) throws {
        let file = try options.word(1, "state file")
        try on(options) { machine in
            try machine.requireOff()
            guard machine.model.stateFile == nil else {
                throw Refusal(
                    "Cannot adopt the saved state as the machine is not in Powered Off", code: .invalidVMState)
            }
            machine.model.stateFile = file
            try machine.save()
        }
    }

    func discard(_ options: Options) throws {
        try on(options) { machine in
            try machine.requireOff()
            machine.guest.end()
            if let file = machine.model.stateFile { unlink(machine.path(file)) }
            machine.model.stateFile = nil
            try machine.save()
        }
    }

    /// `standin sleep|wake <uuid>`: what VirtualBox does to a VM when its desktop goes to sleep and wakes up.
    func desktop(_ options: Options) throws {
        let verb = try options.word(0, "sleep or wake")
        let found = try home.find(try options.word(1, "VM name"))
        try home.locked(found.uuid) {
            var machine = try Machine(uuid: found.uuid, file: found.file, home: home)
            if verb == "sleep" {
                machine.log("Pausing VM execution, reason 'HostSuspend'")
                try machine.guest.pause()
                machine.model.extraData[Self.sleeping] = "1"
            } else {
                machine.log("Resuming VM execution, reason 'HostResume'")
                machine.model.extraData[Self.sleeping] = nil
                try machine.guest.resume()
            }
            try machine.save()
        }
    }
}

/// VBoxHeadless and VirtualBoxVM: they last as long as the VM.
struct Headless {
    let home: Home
    let arguments: [String]

    func run() throws {
        let options = Options(arguments)
        guard let uuid = options["startvm", "s"] else { throw Refusal("Missing --startvm", code: .syntax) }
        let faults = Fault.take("headless", in: home)
        if faults.contains(.hang) { while true { pause() } }
        print("Holdfast's stand-in for VirtualBox's front ends. This is not VirtualBox: the VM is QEMU's.")
        let found = try home.find(uuid)
        do {
            try home.locked(found.uuid) {
                var machine = try Machine(uuid: found.uuid, file: found.file, home: home)
                try Control.start(&machine, paused: options["start-paused"] != nil)
            }
        } catch let refusal as Refusal {
            print("Error: failed to start machine. Error message: \(refusal.text)")
            exit(1)
        }
        while found.isOn { usleep(250_000) }
    }
}
