/// What can go wrong on a desktop or with the manager, as the laboratory does it. Of two desktops it is always the first
/// that is hit, and of its guests the first.
package enum Fault: String, Sendable, Codable, CaseIterable {
    /// The host agent is killed with signal 9; its unit starts it again.
    case agentKilled = "agent-killed"
    /// The host agent stands still (SIGSTOP) and goes on later.
    case agentStopped = "agent-stopped"
    /// The manager is killed with signal 9; its unit starts it again.
    case managerKilled = "manager-killed"
    /// libvirtd is killed with signal 9; its unit starts it again. The guests live on.
    case libvirtdKilled = "libvirtd-killed"
    /// The QEMU of a guest is killed with signal 9: that guest is dead.
    case guestKilled = "qemu-killed"
    /// The desktop's link is down for a while, for its daemons and its guests.
    case partition
    /// The file system of the overlays is full for a while; during a restore, that of the restored disks.
    case workspaceFull = "workspace-full"
    case repositoryFull = "repository-full"
    /// Somebody else empties the packet filter of the desktop.
    case rulesetFlushed = "nft-flush"
    /// Somebody else writes the tables of the desktop anew, as a firewall does when it is reloaded.
    case rulesetReplaced = "iptables-restore"
    /// More datagrams for a guest than the gate's queue holds.
    case flood = "udp-flood"
    /// The wall clock of the desktop's agent is an hour ahead for a while, and steps back.
    case clockStepped = "clock-stepped"
    /// Link, agent, libvirtd and guests of the desktop are gone all at once, as when it is switched off; later link and
    /// daemons come back, the guests do not.
    case desktopRemoved = "desktop-removed"

    /// How long it lasts until the laboratory heals it; nil for what is over at once. Longer than the hold budget, so
    /// that whatever is held at its beginning is let go by the gates' own watchdogs.
    package var lasts: Duration? {
        switch self {
        // A guest whose image is not read stands still, and its clock is not to be trusted after 4.7 seconds of it.
        case .agentStopped: .seconds(3)
        case .partition, .desktopRemoved: .seconds(4)
        case .workspaceFull, .repositoryFull, .clockStepped, .flood: .seconds(2)
        case .agentKilled, .managerKilled, .libvirtdKilled, .guestKilled, .rulesetFlushed, .rulesetReplaced: nil
        }
    }

    /// Whether guests die of it.
    package var killsGuests: Bool { self == .guestKilled || self == .desktopRemoved }
}
