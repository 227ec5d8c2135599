/// What a lab shall consist of.
package struct LabConfiguration: Hashable, Sendable, Codable {
    package var desktops: Int
    package var machines: Int
    /// MiB of memory of each machine.
    package var memory: Int
    /// Folder of everything that the lab keeps; its only trace besides namespaces and processes.
    package var directory: String
    /// Bytes a second in each direction of each bulk connection between two witnesses.
    package var rate: Int
    /// Whether pairs of machines whose indices have an odd sum talk IPv6.
    package var mixesFamilies: Bool
    /// More words for the guests' kernel command line, such as `hf.ping=5` (milliseconds between two exchanges of a
    /// ping-pong), `hf.bulk`, `hf.disk` and `hf.report`.
    package var guestOptions: [String]
    /// Whether a manager and an agent for each desktop are started.
    package var startsProducts: Bool
    /// Folder of `holdfast`, `holdfast-agent` and `holdfast-manager`; nil: beside this program, or the package's
    /// build folder.
    package var executables: String?

    /// Sizes of the file systems that the lab's products have to themselves; nil: they share the machine's.
    package var rooms: LabRooms?
    /// Longest time for which a gate may hold, in milliseconds; nil: the manager's default.
    package var holdBudget: Int?
    /// Packets that each queue may hold; nil: the agents' default.
    package var queueLength: Int?
    /// libfaketime, through which the agent of the first desktop can be made to see the time, so that its clock is
    /// stepped while the machine's own is left alone.
    package var clockLibrary: String?

    /// What runs the machines.
    package var hypervisor: LabHypervisor
    /// NICs and disks of each machine.
    package var nics: Int
    package var disks: Int

    package static let defaultDirectory = "/var/lib/holdfast-lab"

    package init(
        desktops: Int = 3, machines: Int = 4, memory: Int = 128,
        directory: String = LabConfiguration.defaultDirectory, rate: Int = 131_072, mixesFamilies: Bool = true,
        guestOptions: [String] = [], startsProducts: Bool = true, executables: String? = nil,
        rooms: LabRooms? = nil, holdBudget: Int? = nil, queueLength: Int? = nil, clockLibrary: String? = nil,
        hypervisor: LabHypervisor = .qemu, nics: Int = 1, disks: Int = 1
    ) {
        self.desktops = desktops
        self.machines = machines
        self.memory = memory
        self.directory = directory
        self.rate = rate
        self.mixesFamilies = mixesFamilies
        self.guestOptions = guestOptions
        self.startsProducts = startsProducts
        self.executables = executables
        self.rooms = rooms
        self.holdBudget = holdBudget
        self.queueLength = queueLength
        self.clockLibrary = clockLibrary
        self.hypervisor = hypervisor
        self.nics = nics
        self.disks = disks
    }

    func validate() throws(LabError) {
        guard (1...60).contains(desktops) else { throw .badConfiguration("a lab has 1 to 60 desktops") }
        guard (0...100).contains(machines) else { throw .badConfiguration("a lab has at most 100 machines") }
        guard (1...8).contains(nics), (1...8).contains(disks) else {
            throw .badConfiguration("a machine has 1 to 8 NICs and 1 to 8 disks")
        }
        guard memory >= 64 else { throw .badConfiguration("a machine needs 64 MiB of memory or more") }
        guard rate >= 1024 else { throw .badConfiguration("the rate must be at least 1024 bytes a second") }
        guard directory.hasPrefix("/"), directory != "/" else {
            throw .badConfiguration("the lab's folder must be an absolute path")
        }
        // Sockets of libvirt and QEMU lie below it, and a socket's path has at most 107 bytes.
        guard directory.utf8.count <= 48 else {
            throw .badConfiguration("the path of the lab's folder must have at most 48 bytes: \(directory)")
        }
    }
}
