package import Packets

/// A NIC of a member of this host.
package struct GatedNIC: Hashable, Sendable {
    package var mac: HardwareAddress
    /// The host's end of the NIC.
    package var tap: String
    /// The bridge that the tap is a port of.
    package var bridge: String

    package init(mac: HardwareAddress, tap: String, bridge: String) {
        self.mac = mac
        self.tap = tap
        self.bridge = bridge
    }
}

/// A member of this host, with all its NICs in the order of the cluster's plan.
package struct GatedMember: Hashable, Sendable {
    package var name: String
    package var nics: [GatedNIC]

    package init(name: String, nics: [GatedNIC]) {
        self.name = name
        self.nics = nics
    }
}

/// A NIC of any member of the cluster. The order of one member's NICs is the same on all hosts: markers go from the
/// first NIC to the first, from the second to the second, and so on.
package struct PeerNIC: Hashable, Sendable {
    package var member: String
    package var mac: HardwareAddress

    package init(member: String, mac: HardwareAddress) {
        self.member = member
        self.mac = mac
    }
}

/// What the gate of one host must know of an epoch.
package struct EpochPlan: Hashable, Sendable {
    package var epoch: UInt64
    /// With which markers are authenticated.
    package var key: [UInt8]
    /// The members of this host.
    package var members: [GatedMember]
    /// All NICs of all members of the cluster, those of this host too.
    package var peers: [PeerNIC]
    /// From the beginning of holding to the moment at which the gate opens by itself.
    package var holdBudget: Duration
    /// The same in colour mode, from arming.
    package var colourBudget: Duration

    package init(
        epoch: UInt64, key: [UInt8], members: [GatedMember], peers: [PeerNIC], holdBudget: Duration = .seconds(1),
        colourBudget: Duration = .seconds(10)
    ) {
        self.epoch = epoch
        self.key = key
        self.members = members
        self.peers = peers
        self.holdBudget = holdBudget
        self.colourBudget = colourBudget
    }
}
