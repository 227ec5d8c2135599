import Foundation

/// Makes a lab, writing down each thing before it is made.
actor LabBuilder {
    private var state: LabState
    private let topology: LabTopology
    private let folders: LabFolders
    private let progress: @Sendable (String) -> Void

    init(_ configuration: LabConfiguration, progress: @escaping @Sendable (String) -> Void) {
        state = LabState(configuration)
        topology = LabTopology(configuration)
        folders = LabFolders(root: configuration.directory)
        self.progress = progress
    }

    private var configuration: LabConfiguration { state.configuration }

    func build() async throws -> Lab {
        try checkTools()
        let products = configuration.startsProducts ? try ProductDaemons(configuration) : nil
        let image = try await GuestImage.prepare(progress: progress)

        for folder in [folders.root, folders.guest, folders.serial, folders.disks, folders.logs] {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        }
        for part in LibvirtFolder.allCases where !FileManager.default.fileExists(atPath: part.place) {
            state.createdFolders.append(part.place)
        }
        try state.save()
        for folder in state.createdFolders {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        }

        try await LabRooms.mount(for: configuration)

        progress("making \(configuration.desktops) desktops")
        for command in topology.networkCommands { try await Command.require(["ip"] + command) }

        // The probe waits most of its time.
        async let accelerator = AccelerationProbe.accelerator(
            for: image, namespace: topology.switchNamespace, folder: folders.guest)
        if configuration.hypervisor.uses(.libvirt) { try await startLibvirt() }
        if configuration.hypervisor.uses(.virtualbox) {
            for desktop in 1...configuration.desktops {
                try await VirtualBoxGuests(desktop: desktop, topology: topology, folders: folders).install()
            }
        }
        state.accelerator = try await accelerator
        try state.save()

        if let products {
            progress("starting the manager and the agents")
            try await products.startManager { try await self.record($0) }
            for desktop in 1...configuration.desktops {
                try await products.startAgent(desktop: desktop) { try await self.record($0) }
            }
        }
        try await startMachines(image)
        state.isComplete = true
        try state.save()
        return Lab(state)
    }

    private func record(_ process: DaemonProcess) throws {
        state.processes.append(process)
        try state.save()
    }

    private func checkTools() throws {
        guard getuid() == 0 else { throw LabError.needsRoot }
        let tools =
            [
                ("ip", "iproute2"), ("nsenter", "util-linux"), ("qemu-system-x86_64", "qemu-system-x86"),
                ("qemu-img", "qemu-utils"), ("cpio", "cpio"), ("busybox", "busybox-static"), ("strip", "binutils"),
            ]
            + (configuration.hypervisor.uses(.libvirt)
                ? [("libvirtd", "libvirt-daemon-system"), ("virsh", "libvirt-clients")] : [])
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin")
            .split(separator: ":")
        for (tool, package) in tools
        where !folders.contains(where: { FileManager.default.isExecutableFile(atPath: "\($0)/\(tool)") }) {
            throw LabError.missingTool(tool, package: package)
        }
    }

    private func startLibvirt() async throws {
        progress("starting a libvirtd for each desktop")
        try await withThrowingTaskGroup { group in
            for desktop in 1...configuration.desktops {
                let daemon = LibvirtDaemon(desktop: desktop, topology: topology, folders: folders)
                group.addTask { try await daemon.start { try await self.record($0) } }
            }
            try await group.waitForAll()
        }
        try await LibvirtDaemon(desktop: 1, topology: topology, folders: folders).keepCapabilities()
    }

    private func startMachines(_ image: GuestImage) async throws {
        guard configuration.machines > 0 else { return }
        progress("starting \(configuration.machines) machines (\(state.accelerator.rawValue))")
        try await Command.require(["cp", image.kernel, folders.kernel])
        try await Command.require(["cp", image.initrd, folders.initrd])
        for machine in 1...configuration.machines {
            let description = DomainDescription(
                machine: machine, topology: topology, folders: folders, accelerator: state.accelerator)
            for disk in description.disks {
                try await Command.require([
                    "qemu-img", "create", "-q", "-f", "qcow2", disk, "\(LabBuilder.diskSize)",
                ])
            }
            let guests = try Lab(state).guests(of: description.name, on: topology.desktop(ofMachine: machine))
            try await guests.define(description)
            try await guests.start(description.name)
        }
        progress("waiting until all witnesses talk to each other")
        try await Lab(state).waitUntilTalking(patience: .seconds(60 + 15 * configuration.machines))
    }

    /// Bytes of each machine's disk.
    private static let diskSize = 32 * 1024 * 1024
}
