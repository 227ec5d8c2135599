/// One VM as its hypervisor describes it now.
package struct VirtualMachine: Hashable, Sendable {
    package enum State: String, Sendable, Hashable {
        case running
        case paused
        case off
        /// Crashed, suspended by the guest's power management, or in a state that no snapshot can be taken of.
        case other
    }

    package struct NIC: Hashable, Sendable {
        /// Lower-case hardware address, six octets with colons.
        package var mac: String
        /// The host's tap device; nil when the NIC is not on a tap (user-mode network, host device, …).
        package var tap: String?
        /// The Linux bridge that the tap is a port of, if it is one.
        package var bridge: String?
        /// How the hypervisor names this kind of attachment, for messages: `bridge`, `user`, `direct`, …
        package var kind: String
        /// How its owner gets it onto a tap of a bridge, in sentences; empty when the driver has nothing to say.
        package var wayOut: String

        package init(mac: String, tap: String?, bridge: String?, kind: String, wayOut: String = "") {
            self.mac = mac
            self.tap = tap
            self.bridge = bridge
            self.kind = kind
            self.wayOut = wayOut
        }
    }

    package struct Disk: Hashable, Sendable {
        /// Name in the guest, such as `vda`.
        package var target: String
        /// The file that is written now; nil when the disk is not a file.
        package var path: String?
        /// `qcow2`, `raw`, …
        package var format: String
        package var readOnly: Bool

        package init(target: String, path: String?, format: String, readOnly: Bool) {
            self.target = target
            self.path = path
            self.format = format
            self.readOnly = readOnly
        }
    }

    /// Name of the driver that has it, as in `libvirt`.
    package var driver: String
    /// Lower case with hyphens.
    package var uuid: String
    package var name: String
    package var state: State
    /// Guest memory in bytes.
    package var memory: UInt64
    package var nics: [NIC]
    package var disks: [Disk]
    /// What another host must offer to run this VM: `driver`, `hypervisor`, `version`, `machine`, `cpu`, `arch`,
    /// and `processor` where the guest has the host's own (see `HostProcessor`).
    package var requirements: [String: String]
    /// Why it is in its state, or why no more can be said of it, with what to do, where that is not plain from the state.
    package var obstacle: String?

    package init(
        uuid: String, name: String, state: State, memory: UInt64, nics: [NIC], disks: [Disk],
        requirements: [String: String], driver: String = LoadRequest.formerDriver
    ) {
        self.driver = driver
        self.uuid = uuid
        self.name = name
        self.state = state
        self.memory = memory
        self.nics = nics
        self.disks = disks
        self.requirements = requirements
    }
}

package struct LoadRequest: Sendable, Hashable {
    /// The driver of snapshots that do not say which one they are of.
    package static let formerDriver = "libvirt"

    /// The driver that took the image, which alone can load it.
    package var driver: String
    package var uuid: String
    package var name: String
    /// The image, as the driver wrote it, on a file system of this host.
    package var image: String
    /// The description that was stored with it.
    package var description: String
    /// Target name of each disk and the file, on this host, that it shall write.
    package var disks: [String: String]
    /// Name of each further file of the cut (see `FrozenFile`) and its copy, on this host, that the VM shall write.
    package var files: [String: String] = [:]

    package init(
        uuid: String, name: String, image: String, description: String, disks: [String: String],
        driver: String = LoadRequest.formerDriver
    ) {
        self.driver = driver
        self.uuid = uuid
        self.name = name
        self.image = image
        self.description = description
        self.disks = disks
    }
}

/// What every hypervisor must do for the protocol.
///
/// Calls may come from any task. Calls that change one VM come one at a time, except that the ends of a cut may come
/// while it is made; calls for different VMs, and those that only look, come at any time.
///
/// **Whatever fails, the guest runs.** A call that throws leaves the VM running if it ran before, on its own disks or on
/// the way back to them, and with nothing of the call in the hypervisor, in the workspace or among the processes. What
/// cannot be put right at once, since the hypervisor is out of reach or the agent was killed, stands in a journal in the
/// workspace, and `recover` or the next `prepareCut` of the VM puts it right.
///
/// **Errors.** See `HypervisorError` for which pass by themselves. An answer that is lost on its way counts as a failure,
/// so every call here may be repeated: a second one finds done what the first did.
package protocol HypervisorDriver: Sendable {
    /// Short name, as in `libvirt`.
    var name: String { get }

    /// The drivers for which this one speaks: itself, unless it speaks for several. For whoever must know of each
    /// whether its hypervisor can be reached.
    var parts: [any HypervisorDriver] { get }

    /// What it can do with the VMs of this host at all.
    var capabilities: DriverCapabilities { get }

    /// Every VM that this host's owner lets us see, running or not. A whole list or an error, never half a list; a VM that
    /// starts, stops or is removed meanwhile is in it or not.
    func machines() async throws(HypervisorError) -> [VirtualMachine]

    /// What this host has for VMs of this driver that come from elsewhere, by the names of their requirements; lists,
    /// separated by commas. What is left out is not known. Throws when the hypervisor is out of order.
    func offer() async throws(HypervisorError) -> [String: String]

    /// One of them, also while it is cut. Throws `unknownMachine` for one that is not there.
    func machine(_ uuid: String) async throws(HypervisorError) -> VirtualMachine

    /// The description from which `load` can make the VM again; which files it then writes is said there.
    func description(of uuid: String) async throws(HypervisorError) -> String

    /// Everything slow that comes before a cut: overlays in `workspace` (a folder of this host), the connection for
    /// the image, capabilities. Nothing of the guest is touched, and it does not notice. `sink` receives the image from
    /// `perform` on; a header of the driver's own may come before.
    ///
    /// First of all it puts right what an earlier cut of this VM has left. Throws `notRunning` for a VM that is paused or
    /// off, which stays so, and `unsupported` for one with something that no image holds, by its name.
    func prepareCut(of uuid: String, workspace: String, sink: any ByteSink) async throws(HypervisorError)
        -> any PreparedCut

    /// Loads the VM from an image, paused, its taps on their bridges, writing the files of the request. All or nothing: on
    /// failure nothing of it is left, neither a process nor a definition that was not there before.
    ///
    /// Throws `cannotLoad` for an image or a description that is damaged, cut off, of another VM or not for this host, and
    /// for a VM that runs here already, which is not touched.
    func load(_ request: LoadRequest) async throws(HypervisorError) -> VirtualMachine

    /// Lets a paused VM run. Does nothing to one that runs. Throws `notRunning` for one that is off.
    func resume(_ uuid: String) async throws(HypervisorError)

    /// Lets a VM run that its hypervisor has stopped because it could not write to its disk, as when the file system of
    /// the disk is full. Does nothing to any other, nor to one that is off or unknown.
    func endWriteError(_ uuid: String) async throws(HypervisorError)

    /// Makes a VM that was loaded one that its hypervisor knows also when it is off, with the disks it has now. May be
    /// repeated, also for a VM that was known all along.
    func keep(_ uuid: String) async throws(HypervisorError)

    /// Ends the VM's process at once, as by pulling the plug. Does nothing to one that is off or unknown.
    func destroy(_ uuid: String) async throws(HypervisorError)

    /// Makes the network learn where the VM's hardware addresses are now. May be repeated.
    func announce(_ uuid: String) async throws(HypervisorError)

    /// Puts right what an agent that died left behind in `workspace`: paused guests run, overlays are merged. May be
    /// repeated at any time at which no cut is under way. One VM that cannot be put right does not keep the others from it;
    /// the first such error is thrown in the end.
    func recover(workspace: String) async throws(HypervisorError)
}

extension HypervisorDriver {
    package var parts: [any HypervisorDriver] { [self] }
    package var capabilities: DriverCapabilities { .complete }
    package func offer() async throws(HypervisorError) -> [String: String] { [:] }
}
