import Foundation
import Hypervisor
import LibvirtHypervisor
import Logging
import QEMUHypervisor
import VirtualBoxHypervisor

/// The control of every consistency test: the same guests and the same images, but taken one after the other with
/// nothing that holds their traffic. What was received before it was sent is lost for good.
package struct UncoordinatedSnapshot: Sendable {
    private struct Item: Sendable {
        var machine: Lab.Machine
        var desktop: Int
        var request: LoadRequest
    }

    private let lab: Lab
    private let folder: String
    private var items: [Item] = []

    private final class FileSink: ByteSink {
        private let descriptor: Int32

        init(_ path: String) throws {
            descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else { throw CocoaError(.fileWriteUnknown) }
        }

        deinit { close(descriptor) }

        func write(_ bytes: UnsafeRawBufferPointer) throws {
            var rest = bytes
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
                guard count > 0 else { throw CocoaError(.fileWriteUnknown) }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }

    /// Takes an image and a copy of the disks of each guest, `interval` after that of the one before.
    package static func take(of lab: Lab, interval: Duration) async throws -> UncoordinatedSnapshot {
        var snapshot = UncoordinatedSnapshot(lab: lab, folder: "\(lab.folders.root)/uncoordinated")
        try FileManager.default.createDirectory(atPath: snapshot.folder, withIntermediateDirectories: true)
        let clock = ContinuousClock()
        var next = clock.now
        for machine in lab.machines {
            try await clock.sleep(until: next)
            next = clock.now + interval
            guard let desktop = lab.desktops(running: machine.name).first else {
                throw LabError.unknownMachine(machine.name)
            }
            snapshot.items.append(try await snapshot.cut(machine, on: desktop))
        }
        return snapshot
    }

    private func driver(_ machine: Lab.Machine, _ desktop: Int) -> any HypervisorDriver {
        let logger = Logger(label: "holdfast.lab")
        switch lab.configuration.hypervisor.kind(ofMachine: machine.index) {
        case .qemu:
            return QEMUDriver(
                sockets: ["\(lab.folders.guests(desktop))/*.qmp"], machines: lab.folders.agentMachines(desktop),
                namespace: "/run/netns/\(lab.topology.namespace(ofDesktop: desktop))", logger: logger)
        case .virtualbox:
            let guests = VirtualBoxGuests(desktop: desktop, topology: lab.topology, folders: lab.folders)
            return VirtualBoxDriver(programs: guests.programs, logger: logger)
        default: return LibvirtDriver(uri: lab.desktops[desktop - 1].libvirt, logger: logger)
        }
    }

    private func cut(_ machine: Lab.Machine, on desktop: Int) async throws -> Item {
        let driver = driver(machine, desktop)
        let image = "\(folder)/\(machine.name).img"
        let description = try await driver.description(of: machine.uuid)
        let cut = try await driver.prepareCut(
            of: machine.uuid, workspace: "\(folder)/work-\(desktop)", sink: FileSink(image))
        var disks: [String: String] = [:]
        do {
            _ = try await cut.perform {}
            try await cut.imageComplete()
            for disk in cut.frozenDisks {
                let copy = "\(folder)/\(machine.name)-\(disk.target).qcow2"
                try await Command.require([
                    "qemu-img", "convert", "-q", "-U", "-f", disk.format, "-O", "qcow2", disk.path, copy,
                ])
                disks[disk.target] = copy
            }
        } catch {
            await cut.abandon()
            throw error
        }
        await cut.finish()
        await cut.settled()
        let request = LoadRequest(
            uuid: machine.uuid, name: machine.name, image: image, description: description, disks: disks,
            driver: driver.name)
        return Item(machine: machine, desktop: desktop, request: request)
    }

    /// Kills the guests, loads them all paused, and lets them run together.
    package func killAndRestore(listening: Duration = .seconds(6)) async throws -> WitnessJudgement {
        try await lab.destroyAllMachines()
        let ends = lab.logEnds()
        for item in items { _ = try await driver(item.machine, item.desktop).load(item.request) }
        for item in items { try await driver(item.machine, item.desktop).resume(item.machine.uuid) }
        try await Task.sleep(for: listening)
        return try lab.judge(since: ends)
    }

    package func remove() { try? FileManager.default.removeItem(atPath: folder) }
}
