import Foundation
import Hypervisor

/// What the tools at hand do for a single guest that shall go on afterwards: libvirt's external checkpoint, or `savevm` of
/// QEMU's own monitor. VirtualBox's snapshot is what its driver uses, so there is nothing else to compare.
struct StockSnapshot {
    let lab: Lab

    /// Of the first guest; what it leaves is removed.
    func take() async throws -> (name: String, pause: Double)? {
        guard let machine = lab.machines.first, let desktop = lab.desktops(running: machine.name).first else {
            throw LabError.unknownMachine("vm-1")
        }
        // One merge at a time for each disk.
        guard try await lab.overlaysOfEpochs(on: desktop).isEmpty else {
            throw LabError.timedOut("the merge of the disks on desktop \(desktop)", detail: "")
        }
        switch lab.configuration.hypervisor.kind(ofMachine: machine.index) {
        case .libvirt: return ("virsh snapshot-create-as", try await libvirtPause(of: machine, on: desktop))
        case .qemu: return ("savevm", try await savevmPause(of: machine, on: desktop))
        case .virtualbox, .mixed: return nil
        }
    }

    /// Into the guest's own qcow2 files, during which QEMU pauses the guest. The command lasts hardly longer than that.
    private func savevmPause(of machine: Lab.Machine, on desktop: Int) async throws -> Double {
        func tell(_ line: String) async throws {
            let command = MonitorCommand.text("human-monitor-command", ["command-line": line])
            let answer = try await lab.monitor(command, of: machine.name, on: desktop)
            guard !answer.contains("Error") else {
                throw LabError.commandFailed(line, status: "refused", detail: answer)
            }
        }
        let start = ContinuousClock.now
        try await tell("savevm stock")
        let pause = ContinuousClock.now - start
        try await tell("delvm stock")
        return pause / .milliseconds(1)
    }

    /// `virsh save` and `restore` would end the guest; the stock way that keeps it is an external checkpoint of memory
    /// and disks, during which libvirt pauses the guest. Measured by QEMU's own events.
    private func libvirtPause(of machine: Lab.Machine, on desktop: Int) async throws -> Double {
        let folder = lab.folders.root
        let image = "\(folder)/stock.mem"
        let overlay = "\(folder)/stock.overlay.qcow2"
        async let watched = lab.virsh(
            [
                "qemu-monitor-event", machine.name, "--regex", "--event", "STOP|RESUME", "--loop", "--timeout", "8",
                "--timestamp",
            ], desktop: desktop)
        try await Task.sleep(for: .milliseconds(500))
        let taken = try await lab.virsh(
            [
                "snapshot-create-as", machine.name, "--no-metadata", "--memspec", "file=\(image),snapshot=external",
                "--diskspec", "vda,file=\(overlay)", "--atomic",
            ], desktop: desktop)
        guard taken.succeeded else {
            throw LabError.commandFailed(
                "virsh snapshot-create-as", status: "\(taken.status)", detail: taken.standardError)
        }
        _ = try await lab.virsh(
            ["blockcommit", machine.name, "vda", "--active", "--shallow", "--pivot", "--wait"], desktop: desktop)
        let events = try await watched.standardOutput
        for file in [image, overlay] { try? FileManager.default.removeItem(atPath: file) }
        return try Self.pause(in: events)
    }

    /// Milliseconds from the first STOP to the RESUME after it, in lines that begin with a time of day.
    static func pause(in events: String) throws -> Double {
        func seconds(_ line: Substring) -> Double? {
            let time = line.split(separator: " ").first { $0.contains(":") && $0.contains(".") } ?? ""
            let fields = time.split(separator: ":").compactMap { Double($0.prefix { $0.isNumber || $0 == "." }) }
            return fields.count == 3 ? fields[0] * 3600 + fields[1] * 60 + fields[2] : nil
        }
        let lines = events.split(separator: "\n")
        guard let stopLine = lines.firstIndex(where: { $0.contains("STOP") }), let stop = seconds(lines[stopLine]),
            let resumeLine = lines[stopLine...].firstIndex(where: { $0.contains("RESUME") }),
            let resume = seconds(lines[resumeLine])
        else { throw LabError.timedOut("QEMU's STOP and RESUME", detail: events) }
        return (resume - stop) * 1_000
    }
}
