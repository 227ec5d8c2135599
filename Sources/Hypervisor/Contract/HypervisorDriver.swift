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

        package init(mac: String, tap: String?, bridge: String?, kind: String) {
            self.mac = mac
            self.tap = tap
            self.bridge = bridge
            self.kind = kind
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

    /// Lower case with hyphens.
    package var uuid: String
    package var name: String
    package var state: State
    /// Guest memory in bytes.
    package var memory: UInt64
    package var nics: [NIC]
    package var disks: [Disk]
    /// What another host must offer to run this VM: `hypervisor`, `version`, `machine`, `cpu`, `arch`.
    package var requirements: [String: String]

    package init(
        uuid: String, name: String, state: State, memory: UInt64, nics: [NIC], disks: [Disk],
        requirements: [String: String]
    ) {
        self.uuid = uuid
        self.name = name
        self.state = state
        self.memory = memory
        self.nics = nics
        self.disks = disks
        self.requirements = requirements
    }
}

/// The closed list of what a driver can fail with.
package enum HypervisorError: Error, Sendable, Hashable {
    /// No VM with that UUID.
    case unknownMachine(String)
    case notRunning(String, state: String)
    /// The daemon cannot be reached.
    case unavailable(String)
    case noRights(String)
    /// The VM has something that keeps it from being snapshotted: a device, a disk format, …
    case unsupported(String)
    case noSpace(String)
    /// The image or the description does not fit this host, or is damaged.
    case cannotLoad(String)
    /// The operation failed; the VM runs, or its process is gone.
    case failed(String)
}

/// How a driver takes the image.
package enum CutMethod: Sendable, Hashable, CustomStringConvertible {
    /// The guest runs again at once; the image is of the moment of the cut and follows behind.
    case background
    /// The guest stays paused until its image is saved, for the stated reason.
    case paused(reason: String)

    package var description: String {
        switch self {
        case .background: "background"
        case .paused(let reason): "paused: \(reason)"
        }
    }
}

package struct CutTimes: Sendable, Hashable {
    /// Wall clock of this host, nanoseconds since 1970.
    package var startedAt: UInt64
    package var endedAt: UInt64
    /// Nanoseconds for which the guest did not run.
    package var pause: UInt64

    package init(startedAt: UInt64, endedAt: UInt64, pause: UInt64) {
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.pause = pause
    }
}

/// Where a driver puts a stream of bytes, in order. Called on one thread at a time; may block; throws to give up.
package protocol ByteSink: AnyObject, Sendable {
    func write(_ bytes: UnsafeRawBufferPointer) throws
}

/// A disk as it stood at the cut: immutable until `finish` or `abandon`.
package struct FrozenDisk: Sendable, Hashable {
    package var target: String
    /// The topmost file of the frozen chain.
    package var path: String
    package var format: String

    package init(target: String, path: String, format: String) {
        self.target = target
        self.path = path
        self.format = format
    }
}

/// One cut of one VM, from its preparation to its end. Exactly one of `finish` and `abandon` ends it; both may be
/// called in any state and any number of times, and after either the VM runs, unless its process is gone.
package protocol PreparedCut: Sendable {
    var method: CutMethod { get }

    /// Freezes CPU, memory, devices and disks at one instant, calls `whileFrozen` while nothing of the guest runs,
    /// and lets the guest run again as early as the method allows.
    ///
    /// When it throws (also when `whileFrozen` throws), the guest runs.
    func perform(whileFrozen: @escaping @Sendable () throws -> Void) async throws(HypervisorError) -> CutTimes

    /// Waits until the whole image has been written into the sink that was given at preparation. Called once the
    /// gates are open: until then the image leaves the processor to the cuts of others, from here on it moves at full
    /// speed.
    func imageComplete() async throws(HypervisorError)

    /// The disks as they stood at the cut. Empty before `perform`.
    var frozenDisks: [FrozenDisk] { get }

    /// The image and the disks are stored: gives the VM its own disks back, with what was written meanwhile.
    func finish() async

    /// Gives the epoch up: cancels the image and gives the VM its own disks back, with what was written meanwhile.
    func abandon() async
}

package struct LoadRequest: Sendable, Hashable {
    package var uuid: String
    package var name: String
    /// The image, as the driver wrote it, on a file system of this host.
    package var image: String
    /// The description that was stored with it.
    package var description: String
    /// Target name of each disk and the file, on this host, that it shall write.
    package var disks: [String: String]

    package init(uuid: String, name: String, image: String, description: String, disks: [String: String]) {
        self.uuid = uuid
        self.name = name
        self.image = image
        self.description = description
        self.disks = disks
    }
}

/// What every hypervisor must do for the protocol. Calls may come from any task; calls for one VM come one at a time.
package protocol HypervisorDriver: Sendable {
    /// Short name, as in `libvirt`.
    var name: String { get }

    /// The drivers for which this one speaks: itself, unless it speaks for several. For whoever must know of each
    /// whether its hypervisor can be reached.
    var parts: [any HypervisorDriver] { get }

    /// Every VM that this host's owner lets us see, running or not.
    func machines() async throws(HypervisorError) -> [VirtualMachine]

    func machine(_ uuid: String) async throws(HypervisorError) -> VirtualMachine

    /// The description from which `load` can make the VM again.
    func description(of uuid: String) async throws(HypervisorError) -> String

    /// Everything slow that comes before a cut: overlays in `workspace` (a folder of this host), the connection for
    /// the image, capabilities. Nothing of the guest is touched. `sink` receives the image from `perform` on.
    func prepareCut(of uuid: String, workspace: String, sink: any ByteSink) async throws(HypervisorError)
        -> any PreparedCut

    /// Loads the VM from an image, paused, its taps on their bridges. On failure nothing of it is left.
    func load(_ request: LoadRequest) async throws(HypervisorError) -> VirtualMachine

    /// Lets a paused VM run. Does nothing to one that runs.
    func resume(_ uuid: String) async throws(HypervisorError)

    /// Lets a VM run that its hypervisor has stopped because it could not write to its disk, as when the file system of
    /// the disk is full. Does nothing to any other, nor to one that is off or unknown.
    func endWriteError(_ uuid: String) async throws(HypervisorError)

    /// Makes a VM that was loaded one that its hypervisor knows also when it is off, with the disks it has now.
    func keep(_ uuid: String) async throws(HypervisorError)

    /// Ends the VM's process at once, as by pulling the plug. Does nothing to one that is off or unknown.
    func destroy(_ uuid: String) async throws(HypervisorError)

    /// Makes the network learn where the VM's hardware addresses are now.
    func announce(_ uuid: String) async throws(HypervisorError)

    /// Puts right what an agent that died left behind in `workspace`: paused guests run, overlays are merged.
    func recover(workspace: String) async throws(HypervisorError)
}

extension HypervisorDriver {
    package var parts: [any HypervisorDriver] { [self] }
}
