/// What `holdfast doctor` looks at. The names are API: add, never rename. What each means, and what to do about it, is in
/// the article Doctor of the command line's documentation; a test holds the two together.
package enum Check: String, Sendable, CaseIterable {
    // Desktops, as the manager sees them.

    /// The agent is connected and answers.
    case agent
    /// Agent and manager are of one version.
    case version
    /// The desktop's wall clock agrees with the manager's.
    case clock

    // Desktops, as their agents see them.

    /// The desktop has a certificate of the manager. Only looked at by the agent's own `doctor`.
    case enrolment
    /// The agent may change the packet filter and send frames.
    case rights
    /// The kernel has packet queues and filters what bridges forward.
    case kernel
    /// The packet filter's tools take the gate's rules.
    case packetFilter = "packet-filter"
    /// The host's own firewall lets bridged frames by.
    case firewall
    /// The netfilter queues that the next epoch would take are free.
    case queues
    /// The bridges of the VMs are there and let themselves be filtered.
    case bridge
    /// The programs that the agent calls are installed.
    case tools
    /// The hypervisor can be reached.
    case hypervisor
    /// The owner allows VMs to be snapshotted.
    case allowList = "allow-list"
    /// The folder for overlays can be written.
    case storage
    /// It has room for the next snapshot.
    case storageSpace = "storage-space"
    /// The repository is there and can be written, on each desktop and by the manager.
    case repository
    /// It has room for the next snapshot.
    case repositorySpace = "repository-space"

    // VMs.

    /// The member is found on one desktop, and only there.
    case member
    /// The VM runs.
    case state = "vm-state"
    /// The NIC is on a tap of a Linux bridge.
    case nic
    /// The disk is a file that can be read.
    case disk
    /// The VM can be cut, and runs on while its image is saved.
    case cut
    /// The desktops on which the member could be restored.
    case placement

    // Channels between members.

    /// The gates can be armed, and a marker comes through each channel.
    case path
    /// It keeps its colour on the way.
    case pathColour = "path-colour"
    /// It comes soon.
    case pathTime = "path-time"
}
