import Foundation
package import Hypervisor
package import Logging
import NIOConcurrencyHelpers

/// VMs under VirtualBox, by way of VBoxManage. See VirtualBox.md for what is relied on, and from where it is known.
package final class VirtualBoxDriver: HypervisorDriver {
    package enum Front: String, Sendable, Hashable {
        case headless
        case window
    }

    package let name = "virtualbox"
    package let capabilities = DriverCapabilities(
        lacks: [
            .backgroundImages: "VirtualBox saves a VM's memory only while the VM stands still"
        ])
    let machines: VirtualBoxMachines
    let front: Front
    let logger: Logger
    private let version = NIOLockedValueBox<String?>(nil)

    /// - Parameter front: how a VM that is loaded is shown on its desktop.
    package init(
        programs: VirtualBoxPrograms, front: Front = .headless, patience: CallPatience = CallPatience(), logger: Logger
    ) {
        machines = VirtualBoxMachines(programs: programs, patience: patience, logger: logger)
        self.front = front
        self.logger = logger
    }

    // MARK: What there is

    package func machines() async throws(HypervisorError) -> [VirtualMachine] {
        let uuids: [String]
        do throws(ManageFailure) {
            uuids = try await machines.list()
        } catch {
            throw error.error(doing: "list the VMs")
        }
        // What is not VirtualBox's lists no VM either.
        if uuids.isEmpty { _ = try await presentVersion() }
        let taps = await machines.taps()
        var found: [VirtualMachine] = []
        for uuid in uuids {
            do throws(HypervisorError) {
                found.append(try await describe(try await machines.info(uuid), taps))
            } catch {
                switch error {
                // Half a list would look like the whole one.
                case .unavailable: throw error
                // One that was removed while we looked is no reason to show nothing.
                case .unknownMachine: continue
                default: logger.warning("VM left out of the list", metadata: ["error": "\(error)"])
                }
            }
        }
        return found.sorted { $0.name < $1.name }
    }

    package func machine(_ uuid: String) async throws(HypervisorError) -> VirtualMachine {
        try await describe(try await machines.info(uuid.lowercased()), await machines.taps())
    }

    package func description(of uuid: String) async throws(HypervisorError) -> String {
        let text = try machines.settingsText(try await machines.info(uuid.lowercased()))
        _ = try MachineSettings(text)
        return text
    }

    private func describe(
        _ info: MachineInfo, _ taps: [String: TapPlace]
    ) async throws(HypervisorError) -> VirtualMachine {
        let settings = try machines.settings(info)
        var requirements = ["hypervisor": "virtualbox", "driver": name]
        requirements["version"] = try await productVersion()
        requirements["machine"] = info.text["chipset"]
        let profile = info.text["cpu-profile"] ?? "host"
        requirements["cpu"] = profile
        if profile == "host" { requirements[HostProcessor.key] = HostProcessor.identity }
        requirements["arch"] = info.text["platformArchitecture"] == "ARM" ? "aarch64" : "x86_64"
        var machine = VirtualMachine(
            uuid: info.uuid, name: info.name, state: info.state, memory: info.memory << 20,
            nics: info.adapters.map { Self.nic($0, of: info, taps) },
            disks: Self.disks(info, settings).map {
                VirtualMachine.Disk(
                    target: $0.frozen.target, path: $0.frozen.path, format: $0.frozen.format, readOnly: false)
            }, requirements: requirements, driver: name)
        if info.state == .paused { machine.obstacle = Self.powerPause(info, machines) }
        return machine
    }

    private static func nic(
        _ adapter: MachineInfo.Adapter, of info: MachineInfo, _ taps: [String: TapPlace]
    ) -> VirtualMachine.NIC {
        let place = adapter.attachment == "bridged" ? adapter.peer.flatMap { taps[$0] } : nil
        var kind = "VirtualBox \(adapter.attachment)"
        // Of NAT it is called so itself.
        if let peer = adapter.peer, place == nil, peer != adapter.attachment { kind += " `\(peer)`" }
        return VirtualMachine.NIC(
            mac: adapter.mac, tap: place?.tap, bridge: place?.bridge, kind: kind,
            wayOut: TapPlace.advice(machine: info.uuid, adapter: "\(adapter.number)"))
    }

    /// The disks that the guest writes, with the files that it writes now.
    static func disks(_ info: MachineInfo, _ settings: MachineSettings) -> [VirtualBoxCut.Disk] {
        let registered = settings.media
        return settings.attachments.filter { $0.type == "HardDisk" }.compactMap { attachment in
            let medium = info.media.first {
                $0.controller == attachment.controller && $0.port == attachment.port && $0.device == attachment.device
            }
            guard let medium else { return nil }
            let known = registered[medium.uuid]
            let format = Self.format(known?.format ?? medium.path.split(separator: ".").last.map(String.init) ?? "")
            return VirtualBoxCut.Disk(
                frozen: FrozenDisk(target: attachment.target, path: medium.path, format: format),
                layered: known?.hasParent == true ? medium.uuid : nil)
        }
    }

    /// As `qemu-img` calls it.
    private static func format(_ name: String) -> String {
        let names = ["vhd": "vpc", "qcow": "qcow2", "hdd": "parallels", "img": "raw"]
        return names[name.lowercased()] ?? name.lowercased()
    }

    private func productVersion() async throws(HypervisorError) -> String {
        if let version = version.withLockedValue({ $0 }) { return version }
        return try await presentVersion()
    }

    /// Asks for it; what is installed may be another than it was.
    private func presentVersion() async throws(HypervisorError) -> String {
        let text: String
        do throws(ManageFailure) {
            text = try await machines.manage.run(["--version"], within: machines.patience.look)
        } catch {
            throw error.error(doing: "tell its version")
        }
        // `7.0.20r163906`, `6.1.50_Ubuntur161033`; before it there may be a warning.
        let last = text.split(whereSeparator: \.isNewline).last ?? ""
        let number = last.prefix { $0.isNumber || $0 == "." }
        guard number.split(separator: ".").count >= 2 else {
            throw .unavailable(
                "\(machines.programs.manage[0]) answers `--version` with `\(last.prefix(60))`, which is no version of "
                    + "VirtualBox. Name VirtualBox's own VBoxManage under `virtualbox.command` in agent.yaml.")
        }
        version.withLockedValue { $0 = String(number) }
        return String(number)
    }

    package func offer() async throws(HypervisorError) -> [String: String] {
        var offer = ["hypervisor": "virtualbox", "version": try await presentVersion()]
        offer[HostProcessor.key] = HostProcessor.identity
        return offer
    }

    static func notRunning(_ info: MachineInfo, _ machines: VirtualBoxMachines) -> HypervisorError {
        let state = info.state.rawValue
        if info.state == .paused, let why = powerPause(info, machines) { return .notRunning(why, state: state) }
        return .notRunning(
            "\(info.name) is \(info.stateName), and only a running VM can be snapshotted. Start or resume it first.",
            state: state)
    }

    /// What is to be said of a VM that VirtualBox has paused since the desktop sleeps, or has slept.
    private static func powerPause(_ info: MachineInfo, _ machines: VirtualBoxMachines) -> String? {
        guard machines.cause(ofPause: info) == .hostPower else { return nil }
        return
            "\(info.name) is paused by the desktop's power management, which resumes it when the desktop is awake. Take "
            + "the snapshot again then."
    }

    // MARK: The cut

    package func prepareCut(
        of uuid: String, workspace: String, sink: any ByteSink
    ) async throws(HypervisorError) -> any PreparedCut {
        let uuid = uuid.lowercased()
        // First, since it may change which disks the VM has.
        try await recover(workspace: workspace, only: uuid)
        let info = try await machines.info(uuid)
        guard info.state == .running else { throw Self.notRunning(info, machines) }
        let settings = try machines.settings(info)
        if let blocker = Self.blocker(info, settings, await machines.taps()) { throw .unsupported(blocker) }
        let journal = VirtualBoxJournal(uuid: uuid)
        var disks = Self.disks(info, settings)
        for index in disks.indices where disks[index].layered != nil {
            let frozen = disks[index].frozen
            disks[index].frozen.path = "\(workspace)/\(uuid)-\(frozen.target).frozen.vdi"
            disks[index].frozen.format = "vdi"
        }
        try journal.write(to: workspace)
        return VirtualBoxCut(
            name: info.name, journal: journal, workspace: workspace, machines: machines, disks: disks, sink: sink)
    }

    /// Why no cut can be made of that VM, with the way out; nil if one can.
    static func blocker(
        _ info: MachineInfo, _ settings: MachineSettings, _ taps: [String: TapPlace]
    ) -> String? {
        for adapter in info.adapters where adapter.attachment != "null" {
            let peers = info.adapters.filter { $0.attachment == "bridged" && $0.peer == adapter.peer }
            if adapter.attachment == "bridged", let peer = adapter.peer, taps[peer] != nil, peers.count == 1 {
                continue
            }
            let place = adapter.peer.map { "\(adapter.attachment) `\($0)`" } ?? adapter.attachment
            return
                "NIC \(adapter.number) of \(info.name) is \(place), past the host's packet filter, so its traffic cannot "
                + "be held. " + TapPlace.advice(machine: info.uuid, adapter: "\(adapter.number)")
        }
        if let device = settings.blockers.first {
            return "\(info.name) has \(device). Remove it from the VM."
        }
        for (uuid, medium) in settings.media where info.media.contains(where: { $0.uuid == uuid }) {
            guard let type = medium.type, type != "Normal" else { continue }
            return "Disk \(medium.location) of \(info.name) is \(type.lowercased()), and no snapshot holds such a one. "
                + "Make it normal by `VBoxManage modifymedium disk \(uuid) --type normal`."
        }
        return nil
    }

    // MARK: Living

    package func resume(_ uuid: String) async throws(HypervisorError) {
        let info = try await machines.info(uuid.lowercased())
        if info.state == .running { return }
        guard info.state != .off else {
            throw .notRunning("\(info.name) is off and cannot be resumed.", state: info.state.rawValue)
        }
        switch await MachineWaking(uuid: info.uuid, machines: machines).letRun() {
        case .runs: return
        case .gone: throw .notRunning("\(info.name) has ended and cannot be resumed.", state: "off")
        case .sleeps: throw Self.notRunning(info, machines)
        case .failed(let why): throw .failed("\(info.name) could not be resumed: \(why).")
        }
    }

    package func endWriteError(_ uuid: String) async throws(HypervisorError) {
        let info: MachineInfo
        do throws(HypervisorError) {
            info = try await machines.info(uuid.lowercased())
        } catch {
            if case .unknownMachine = error { return }
            throw error
        }
        guard info.state == .paused, machines.cause(ofPause: info) == .diskFull else { return }
        logger.notice("resuming a VM that could not write", metadata: ["vm": "\(uuid)"])
        _ = await MachineWaking(uuid: info.uuid, machines: machines).letRun()
    }

    package func announce(_ uuid: String) async throws(HypervisorError) {
        let machine = try await machine(uuid)
        guard machine.state != .off else {
            throw .notRunning("\(machine.name) is off and cannot be announced.", state: machine.state.rawValue)
        }
        for nic in machine.nics {
            guard let tap = nic.tap, let bridge = nic.bridge, let address = NetworkAnnouncement.octets(of: nic.mac)
            else {
                continue
            }
            let command = HostCommand(machines.programs.ip.dropLast() + ["bridge"], logger: logger)
            // Where the bridge has the address already nothing changes.
            _ = try? await command.run(
                ["fdb", "replace", nic.mac, "dev", tap, "master", "dynamic"], within: machines.patience.look)
            let frame = NetworkAnnouncement.frame(for: address)
            let failure = await BlockingThread.run { () -> HypervisorError? in
                do throws(HypervisorError) {
                    try NetworkAnnouncement.send(frame, through: bridge)
                    return nil
                } catch {
                    return error
                }
            }
            if let failure { throw failure }
        }
    }

    // MARK: Recovery

    package func recover(workspace: String) async throws(HypervisorError) {
        try await recover(workspace: workspace, only: nil)
    }

    private func recover(workspace: String, only uuid: String?) async throws(HypervisorError) {
        var failure: HypervisorError?
        for journal in VirtualBoxJournal.all(in: workspace) where uuid == nil || journal.uuid == uuid {
            logger.notice("putting right what a cut left", metadata: ["vm": "\(journal.uuid)"])
            do throws(HypervisorError) {
                if journal.isCutting {
                    let outcome = await MachineWaking(uuid: journal.uuid, machines: machines).letRun()
                    if case .failed(let why) = outcome {
                        throw .failed("The VM \(journal.uuid) could not be resumed: \(why).")
                    }
                }
                try await SnapshotRemoval(machines: machines, workspace: workspace).remove(journal)
            } catch {
                // The others must not wait for the one that cannot be put right.
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }
}
