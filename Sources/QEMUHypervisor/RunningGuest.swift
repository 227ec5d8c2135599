import Hypervisor

/// One QEMU that runs, and what was found out about it.
struct RunningGuest: Sendable {
    let monitor: MonitorSocket
    let path: String
    let uuid: String
    let name: String
    let process: GuestProcess?
    let layout: BlockLayout
    /// Each disk with what it reads and writes now.
    let disks: [(disk: GuestDisk, backend: BlockLayout.Backend?)]
    let machine: VirtualMachine
    let description: GuestDescription
    /// What keeps it from being carried over, in words for people.
    let refusals: [String]

    static let nobody = "00000000-0000-0000-0000-000000000000"

    private struct Identifier: Decodable {
        var uuid: String

        enum CodingKeys: String, CodingKey { case uuid = "UUID" }
    }
    private struct Name: Decodable { var name: String? }
    private struct Target: Decodable { var arch: String }
    private struct Version: Decodable {
        struct Number: Decodable { var major, minor, micro: Int }
        var qemu: Number
    }
    private struct Memory: Decodable {
        var base: UInt64
        var plugged: UInt64?

        enum CodingKeys: String, CodingKey {
            case base = "base-memory"
            case plugged = "plugged-memory"
        }
    }

    static func uuid(_ monitor: MonitorSocket) throws(HypervisorError) -> String {
        (try BlockLayout.ask(monitor, #"{"execute":"query-uuid"}"#) as Identifier).uuid.lowercased()
    }

    init(_ monitor: MonitorSocket, path: String) throws(HypervisorError) {
        self.monitor = monitor
        self.path = path
        uuid = try Self.uuid(monitor)
        let owner = monitor.peerProcess.flatMap { GuestProcess(pid: $0) }
        process = owner?.isQEMU == true ? owner : GuestProcess.find(uuid: uuid)
        let line = GuestCommandLine(process?.arguments ?? [])
        let named: Name = try BlockLayout.ask(monitor, #"{"execute":"query-name"}"#)
        let file = path.split(separator: "/").last?.split(separator: ".").first.map(String.init)
        name = named.name ?? line.name ?? file ?? uuid
        let type: String = try BlockLayout.ask(
            monitor, #"{"execute":"qom-get","arguments":{"path":"/machine","property":"type"}}"#)
        let target: Target = try BlockLayout.ask(monitor, #"{"execute":"query-target"}"#)
        let version: Version = try BlockLayout.ask(monitor, #"{"execute":"query-version"}"#)
        let memory: Memory = try BlockLayout.ask(monitor, #"{"execute":"query-memory-size-summary"}"#)
        let network = try NetworkLayout(monitor)
        layout = try BlockLayout(monitor)

        var options = line.options
        var refusals = line.refusals
        if process == nil { refusals.append("a process that cannot be found, so that its options are not known") }
        if let folder = process?.workingFolder { Self.makeAbsolute(&options, in: folder) }
        let (nics, bridged) = Self.nics(network, process, &options)
        let described = GuestDisk.all(in: options)
        let (backends, others) = layout.match(described)
        disks = Array(zip(described, backends))
        refusals += others.filter { !$0.readOnly }.map { "the disk \($0.file), which was added while it ran" }
        if memory.plugged ?? 0 > 0 { refusals.append("memory that was added while it ran") }
        description = GuestDescription(
            uuid: uuid, name: name, architecture: target.arch,
            machine: type.hasSuffix("-machine") ? String(type.dropLast("-machine".count)) : type, options: options,
            nics: bridged)
        self.refusals = refusals
        var requirements = description.requirements
        if description.hasHostProcessor { requirements[HostProcessor.key] = HostProcessor.identity }
        requirements["version"] = "\(version.qemu.major).\(version.qemu.minor).\(version.qemu.micro)"
        machine = VirtualMachine(
            uuid: uuid, name: name, state: Self.state(try monitor.runState()), memory: memory.base, nics: nics,
            disks: zip(described, backends).map { disk, backend in
                VirtualMachine.Disk(
                    target: disk.target, path: backend.map(\.file) ?? disk.path,
                    format: backend?.format ?? disk.format, readOnly: backend?.readOnly ?? disk.readOnly)
            }, requirements: requirements, driver: QEMUDriver.name)
    }

    static func state(_ runState: String?) -> VirtualMachine.State {
        switch runState {
        case "running": .running
        case "paused", "prelaunch", "io-error", "postmigrate", "save-vm", "finish-migrate", "restore-vm", "debug":
            .paused
        default: .other
        }
    }

    /// Paths of the host mean the same in another process only when they are whole.
    private static func makeAbsolute(_ options: inout [GuestOption], in folder: String) {
        func whole(_ path: String) -> String { path.hasPrefix("/") || path.isEmpty ? path : "\(folder)/\(path)" }
        for index in options.indices {
            switch options[index].name {
            case "kernel", "initrd": options[index][""] = options[index][""].map(whole)
            case "drive": options[index]["file"] = options[index]["file"].map(whole)
            case "blockdev":
                for key in ["filename", "file.filename"] { options[index][key] = options[index][key].map(whole) }
            case "chardev": options[index]["path"] = options[index]["path"].map(whole)
            case "serial":
                if let target = options[index][""], target.hasPrefix("file:") {
                    options[index][""] = "file:" + whole(String(target.dropFirst("file:".count)))
                }
            default: break
            }
        }
    }

    /// How an owner gets a NIC onto a bridge.
    private static func wayOut(kind: String, tap: String?) -> String {
        if let tap { return "Make \(tap) a port of one: `ip link set \(tap) master br0`." }
        return "Start the VM with `-netdev tap,id=net0,ifname=TAP,script=no,downscript=no` in the place of "
            + "`-netdev \(kind)`, after `ip tuntap add dev TAP mode tap` and `ip link set TAP master br0 up`."
    }

    /// Writes the addresses into the options, so that another process does not choose them anew.
    private static func nics(
        _ network: NetworkLayout, _ process: GuestProcess?, _ options: inout [GuestOption]
    ) -> ([VirtualMachine.NIC], [GuestDescription.NIC]) {
        let bridges = HostNetwork.bridges()
        let open = process?.taps ?? [:]
        var unnamed = Set(open.values).subtracting(network.nics.compactMap(\.tap))
            .subtracting(network.nics.compactMap { $0.descriptor.flatMap { open[$0] } })
        var found: [VirtualMachine.NIC] = []
        var bridged: [GuestDescription.NIC] = []
        for nic in network.nics {
            var tap = nic.tap ?? nic.descriptor.flatMap { open[$0] }
            if tap == nil, nic.kind == "tap", unnamed.count == 1 { tap = unnamed.removeFirst() }
            let bridge = tap.flatMap { bridges[$0] }
            found.append(
                VirtualMachine.NIC(
                    mac: nic.mac, tap: bridge == nil ? nil : tap, bridge: bridge, kind: nic.kind,
                    wayOut: wayOut(kind: nic.kind, tap: tap)))
            guard let netdev = nic.netdev else { continue }
            var id = netdev
            if let device = options.firstIndex(where: { $0.name == "device" && $0["netdev"] == netdev }) {
                options[device]["mac"] = nic.mac
            } else if let short = options.firstIndex(where: {
                $0.name == "nic" && ($0["id"] == netdev || $0["id"] == nil && netdev.hasPrefix("#"))
            }) {
                if options[short]["id"] == nil { id = "nic\(short)" }
                options[short]["id"] = id
                options[short]["mac"] = nic.mac
            }
            if let bridge { bridged.append(GuestDescription.NIC(netdev: id, bridge: bridge)) }
        }
        return (found, bridged)
    }
}
