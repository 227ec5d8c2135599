/// Something that a driver, or the hypervisor behind it, may not be able to do with any VM. What it can do it must do as
/// the contract says; what it cannot do it refuses with `unsupported`, by name, and touches nothing.
package enum DriverCapability: String, CaseIterable, Sendable, Hashable {
    /// To cut a VM that runs.
    case cuts
    /// To let the guest run again before its image is saved, and the image wait behind the cuts of others.
    case backgroundImages
    /// To load a VM from an image.
    case loads
    /// To know VMs also while they are off.
    case definitions
    /// To make the network learn the addresses of a VM.
    case announcements
    /// To stop a guest that cannot write to its disk, instead of telling it.
    case writeErrors
    /// To be out of reach: there is a daemon between the driver and the VMs.
    case daemon
}

/// What a driver cannot do, and why.
///
/// A capability is of the driver on this host, not of one VM: a VM that cannot be cut, or only while it stands still, is
/// told by `prepareCut` through an error and the method of the cut.
package struct DriverCapabilities: Sendable, Hashable {
    /// Of each thing that it cannot do, the reason in words for people.
    package var lacks: [DriverCapability: String]

    package init(lacks: [DriverCapability: String]) { self.lacks = lacks }

    package static let complete = DriverCapabilities(lacks: [:])
}
