import Foundation

/// A desktop cloud on one machine, up and running: a network namespace, a bridge and a real hypervisor for each desktop,
/// guests with a witness in each, and, unless it was made without, a manager and an agent for each desktop.
package struct Lab: Sendable {
    /// Where in the lab a command runs.
    package enum Place: Hashable, Sendable {
        case manager
        /// What lies between the desktops.
        case network
        /// A desktop by its number, from 1.
        case desktop(Int)
    }

    package struct Desktop: Hashable, Sendable, Codable {
        /// From 1.
        package var number: Int
        /// The host name under which its agent enrols, such as `desktop-1`.
        package var name: String
        package var namespace: String
        package var address: String
        package var libvirt: String
    }

    package struct Machine: Hashable, Sendable, Codable {
        /// From 1; also its place among the witnesses.
        package var index: Int
        package var name: String
        package var uuid: String
        package var mac: String
        package var address: String
        /// Number of the desktop on which it was defined; after a restore it may run elsewhere.
        package var desktop: Int
        package var serialLog: String
    }

    package let configuration: LabConfiguration
    package let topology: LabTopology
    package let folders: LabFolders
    package let accelerator: Accelerator

    init(_ state: LabState) {
        configuration = state.configuration
        topology = LabTopology(state.configuration)
        folders = LabFolders(root: state.configuration.directory)
        accelerator = state.accelerator
    }

    /// The lab that was made in this folder.
    package static func open(_ directory: String = LabConfiguration.defaultDirectory) throws -> Lab {
        guard let state = try LabState.load(from: directory) else { throw LabError.notUp(directory) }
        return Lab(state)
    }

    package var desktops: [Desktop] {
        (1...configuration.desktops).map {
            Desktop(
                number: $0, name: topology.hostName(ofDesktop: $0), namespace: topology.namespace(ofDesktop: $0),
                address: topology.address(ofDesktop: $0), libvirt: daemon($0).uri)
        }
    }

    package var machines: [Machine] {
        (0..<configuration.machines).map { $0 + 1 }.map {
            let name = topology.name(ofMachine: $0)
            return Machine(
                index: $0, name: name, uuid: topology.uuid(ofMachine: $0), mac: topology.mac(ofMachine: $0),
                address: topology.address(ofMachine: $0), desktop: topology.desktop(ofMachine: $0),
                serialLog: folders.serialLog(of: name))
        }
    }

    package func machine(_ name: String) throws -> Machine {
        guard let machine = machines.first(where: { $0.name == name }) else { throw LabError.unknownMachine(name) }
        return machine
    }

    func daemon(_ desktop: Int) -> LibvirtDaemon {
        LibvirtDaemon(desktop: desktop, topology: topology, folders: folders)
    }

    /// How guests of a kind are run on a desktop.
    func guests(_ kind: LabHypervisor, on desktop: Int) -> any LabGuests {
        switch kind {
        case .qemu: QEMUGuests(desktop: desktop, topology: topology, folders: folders)
        case .virtualbox: VirtualBoxGuests(desktop: desktop, topology: topology, folders: folders)
        default: LibvirtGuests(daemon: daemon(desktop))
        }
    }

    /// How a machine is run on a desktop.
    func guests(of name: String, on desktop: Int) throws -> any LabGuests {
        guests(configuration.hypervisor.kind(ofMachine: try machine(name).index), on: desktop)
    }

    /// Sends a command to the monitor of a machine's QEMU, past the product.
    package func monitor(_ command: String, of name: String, on desktop: Int) async throws -> String {
        try await guests(of: name, on: desktop).monitor(command, of: name)
    }

    // MARK: - Commands

    package func namespace(of place: Place) -> String {
        switch place {
        case .manager: topology.managerNamespace
        case .network: topology.switchNamespace
        case .desktop(let number): topology.namespace(ofDesktop: number)
        }
    }

    /// The arguments that run a command in the network of a place. Only the network is another; files are the
    /// machine's.
    package func command(_ command: [String], in place: Place) -> [String] {
        ["nsenter", "--net=/run/netns/\(namespace(of: place))", "--"] + command
    }

    /// Variables by which `holdfast` finds this lab's manager.
    package var clientEnvironment: [String: String] {
        [
            "HOLDFAST_MANAGER": "\(topology.managerAddress):\(topology.managerPort)",
            "HOLDFAST_CREDENTIALS": folders.credentials,
        ]
    }

    /// Runs a command to its end, whatever its exit code.
    package func run(_ arguments: [String], in place: Place) async throws -> CommandResult {
        try await Command.run(command(arguments, in: place), environment: clientEnvironment)
    }

    /// Runs the command line tool against this lab's manager, with the administrator's credentials.
    package func holdfast(_ arguments: [String]) async throws -> CommandResult {
        let tool = try ProductExecutables(configuration).path(of: "holdfast")
        return try await run([tool] + arguments, in: .manager)
    }

    /// Asks one desktop's libvirt.
    package func virsh(_ arguments: [String], desktop: Int) async throws -> CommandResult {
        try await daemon(desktop).virsh(arguments)
    }

    // MARK: - Machines

    /// State of each machine on each desktop that knows it, by desktop number, as `virsh list` words it.
    package func states() async throws -> [String: [Int: String]] {
        var states: [String: [Int: String]] = [:]
        for desktop in 1...configuration.desktops {
            for (name, state) in try await self.states(on: desktop) { states[name, default: [:]][desktop] = state }
        }
        return states
    }

    /// State of each machine that a desktop knows.
    func states(on desktop: Int) async throws -> [String: String] {
        var states: [String: String] = [:]
        for kind in LabHypervisor.kinds where configuration.hypervisor.uses(kind) {
            states.merge(try await guests(kind, on: desktop).states()) { first, _ in first }
        }
        return states
    }

    /// Pauses a machine as its owner would, or lets it run again.
    package func suspend(_ name: String, on desktop: Int) async throws {
        try await guests(of: name, on: desktop).suspend(name)
    }

    package func resume(_ name: String, on desktop: Int) async throws {
        try await guests(of: name, on: desktop).resume(name)
    }

    /// Numbers of the desktops on which a process of this machine lives; more than one would be a fault of ours.
    package func desktops(running name: String) -> [Int] {
        (1...configuration.desktops).filter { emulator(of: name, on: $0) != nil }
    }

    /// Process number of the machine's QEMU on that desktop.
    package func emulator(of name: String, on desktop: Int) -> Int32? {
        (try? guests(of: name, on: desktop))?.emulator(of: name)
    }

    /// Kills the machine's QEMU as a power cut would, wherever it runs, and waits until it is gone.
    package func killMachine(_ name: String) async throws {
        _ = try machine(name)
        for desktop in 1...configuration.desktops {
            guard let pid = emulator(of: name, on: desktop) else { continue }
            kill(pid, SIGKILL)
            while emulator(of: name, on: desktop) == pid { try await Task.sleep(for: .milliseconds(5)) }
        }
    }

    /// Kills all machines, all at once, and waits until they are gone and their hypervisors know.
    package func destroyAllMachines() async throws {
        try await withThrowingTaskGroup { group in
            for machine in machines { group.addTask { try await killMachine(machine.name) } }
            try await group.waitForAll()
        }
        let end = ContinuousClock.now + .seconds(10)
        for desktop in 1...configuration.desktops {
            while try await states(on: desktop).values.contains(where: { $0 != "shut off" }) {
                guard ContinuousClock.now < end else {
                    throw LabError.timedOut("the end of the machines on desktop \(desktop)", detail: "")
                }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// Starts a machine that is off, from scratch, on the desktop where it was defined.
    package func startMachine(_ name: String) async throws {
        try await guests(of: name, on: machine(name).desktop).start(name)
    }

    /// What epochs have left in the workspace of a desktop, once their disks had the time to be merged.
    package func overlaysOfEpochs(on desktop: Int, patience: Duration = .seconds(20)) async throws -> [String] {
        let end = ContinuousClock.now + patience
        while true {
            let workspace = folders.workspace(desktop)
            // A driver may have a folder of its own there, which stays.
            let left = try FileManager.default.subpathsOfDirectory(atPath: workspace).filter {
                var isFolder: ObjCBool = false
                return FileManager.default.fileExists(atPath: "\(workspace)/\($0)", isDirectory: &isFolder)
                    && !isFolder.boolValue
            }
            if left.isEmpty || ContinuousClock.now > end { return left }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    // MARK: - Witnesses

    /// Where each machine's console log ends now, by name: from there on is what happens next.
    package func logEnds() -> [String: UInt64] {
        Dictionary(uniqueKeysWithValues: machines.map { ($0.name, WitnessLog(path: $0.serialLog).size) })
    }

    /// The reports of one witness since a place in its log (see `logEnds`).
    package func witnessReports(of name: String, since offset: UInt64 = 0) throws -> [WitnessReport] {
        try WitnessLog(path: machine(name).serialLog).reports(since: offset).reports
    }

    /// The last report of each machine that has made one, by name.
    package func latestReports() -> [String: WitnessReport] {
        Dictionary(
            uniqueKeysWithValues: machines.compactMap { machine in
                WitnessLog(path: machine.serialLog).latest.map { (machine.name, $0) }
            })
    }

    /// Judges a restore by what the witnesses have said since `logEnds` was taken, which must have been while no
    /// machine ran.
    package func judge(since ends: [String: UInt64]) throws -> WitnessJudgement {
        let reports = try machines.map { machine in
            (machine.index, try witnessReports(of: machine.name, since: ends[machine.name] ?? 0))
        }
        return WitnessJudgement(after: Dictionary(uniqueKeysWithValues: reports))
    }

    /// Waits until every witness talks to every other and has reported so after each log's place in `ends`.
    package func waitUntilTalking(since ends: [String: UInt64] = [:], patience: Duration = .seconds(60)) async throws {
        let end = ContinuousClock.now + patience
        for machine in machines {
            let log = WitnessLog(path: machine.serialLog)
            var said = ""
            while true {
                if let last = log.latest, log.size > ends[machine.name] ?? 0, last.diskSequence > 0,
                    last.isTalkingToAll
                {
                    break
                }
                guard ContinuousClock.now < end else {
                    said = LabFolders.tail(of: machine.serialLog, lines: 3)
                    throw LabError.timedOut("waiting for \(machine.name) to talk to all others", detail: said)
                }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }
}
