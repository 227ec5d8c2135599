/// How members are kept from receiving what their peers have not yet sent.
package enum SnapshotMode: String, Sendable, Codable, CaseIterable {
    /// Egress of every member is held from arm to release.
    case hold
    /// Nothing is held at its sender: from its cut on a member's packets carry a colour, and wait at a receiver that
    /// has not been cut. Falls back to `hold` where a path does not keep the colour.
    case colour
}

/// What a marker proves when it arrives. Markers of the kinds `probe` and `cut` carry the colour.
package enum MarkerKind: String, Sendable, Codable, CaseIterable {
    /// Hold mode: everything that was on the channel when its sender's gate closed has arrived.
    case flush
    /// Colour mode: the path keeps the colour, and nothing from before the arming is on it any more.
    case probe
    /// Colour mode: everything that the sender emitted before its cut has arrived.
    case cut
}

/// One network interface of a member.
package struct MemberNIC: Hashable, Sendable, Codable {
    /// Lower-case hardware address, six octets with colons.
    package var mac: String

    package init(mac: String) { self.mac = mac }
}

/// A member as the whole cluster sees it.
package struct PlannedMember: Hashable, Sendable, Codable {
    package var name: MemberName
    package var host: HostName
    /// The UUID under which the hypervisor knows the VM, lower case with hyphens.
    package var machine: String
    package var nics: [MemberNIC]

    package init(name: MemberName, host: HostName, machine: String, nics: [MemberNIC]) {
        self.name = name
        self.host = host
        self.machine = machine
        self.nics = nics
    }
}

/// Everything that a participant must know before anything is done to a guest.
package struct SnapshotPlan: Hashable, Sendable, Codable {
    /// Name of the snapshot in the repository.
    package var snapshot: String
    package var cluster: String
    package var epoch: Epoch
    package var mode: SnapshotMode
    /// All members of the cluster, also those of other hosts.
    package var members: [PlannedMember]
    /// Key of the epoch, with which markers are authenticated. 32 bytes.
    package var markerKey: [UInt8]
    /// Longest time for which a gate may hold egress, in milliseconds; then the agent opens it by itself.
    package var holdBudget: UInt64
    /// Longest time from arming to release in colour mode, in milliseconds; then the agent opens the gate by itself.
    package var colourBudget: UInt64
    /// Longest wait for markers, in milliseconds; in colour mode a tenth of its budget, if that is more.
    package var flushBound: UInt64

    package init(
        snapshot: String, cluster: String, epoch: Epoch, mode: SnapshotMode, members: [PlannedMember],
        markerKey: [UInt8], holdBudget: UInt64, colourBudget: UInt64 = 10_000, flushBound: UInt64
    ) {
        self.snapshot = snapshot
        self.cluster = cluster
        self.epoch = epoch
        self.mode = mode
        self.members = members
        self.markerKey = markerKey
        self.holdBudget = holdBudget
        self.colourBudget = colourBudget
        self.flushBound = flushBound
    }

    /// The members that live on `host`, in the order of the plan.
    package func members(on host: HostName) -> [PlannedMember] { members.filter { $0.host == host } }

    /// Every channel whose receiver lives on `host`.
    package func channels(into host: HostName) -> Set<Channel> {
        var channels: Set<Channel> = []
        for receiver in members where receiver.host == host {
            for sender in members where sender.name != receiver.name {
                channels.insert(Channel(sender: sender.name, receiver: receiver.name))
            }
        }
        return channels
    }
}

/// What the coordinator tells a participant. Each is sent once per epoch and host; `arm` and `flush` a second time, in
/// hold mode, when colour mode is given up before any cut.
package enum SnapshotCommand: Hashable, Sendable {
    case prepare(SnapshotPlan)
    case arm(SnapshotMode)
    case flush
    case cut
    /// Stop logging late arrivals, so that nothing that is released on one host is taken for channel state on another.
    /// Sent between cut and release: in hold mode when markers are missing somewhere, in colour mode always, and then
    /// obeyed when the markers of the cuts are in or the flush bound has passed.
    case settle
    case release
    /// The manifest is written: forget what would undo the epoch.
    case seal
    case abort(reason: String)
}

/// When one member's cut took place and what it cost.
package struct MemberCut: Hashable, Sendable, Codable {
    package var member: MemberName
    /// Wall-clock times in nanoseconds since 1970, of the host on which the member runs.
    package var armedAt: UInt64
    package var cutStartedAt: UInt64
    package var cutEndedAt: UInt64
    /// Time for which the guest did not run, in nanoseconds, as its hypervisor reports it.
    package var pause: UInt64
    /// How the image is taken: `background` or `paused`, with the reason for the latter.
    package var method: String

    package init(
        member: MemberName, armedAt: UInt64, cutStartedAt: UInt64, cutEndedAt: UInt64, pause: UInt64, method: String
    ) {
        self.member = member
        self.armedAt = armedAt
        self.cutStartedAt = cutStartedAt
        self.cutEndedAt = cutEndedAt
        self.pause = pause
        self.method = method
    }
}

/// What an agent states about one member's gate, from arm to the commanded release.
package struct GateAttestation: Hashable, Sendable, Codable {
    package var member: MemberName
    /// Segments held in all: at the egress in hold mode; in colour mode, coloured ones that waited for this member's cut.
    package var held: UInt64
    /// Of these, emitted before the cut. None in colour mode.
    package var heldBeforeCut: UInt64
    /// Segments in the channel log, sent and received.
    package var logged: UInt64
    /// Packets that the kernel or the queue socket lost.
    package var overflowed: UInt64
    /// Transactions on the packet filter by somebody else while the gate was closed.
    package var foreignChanges: UInt64
    /// Whether the queue was bound and the rules in place at both ends.
    package var unbroken: Bool
    /// Whether the agent's own watchdog opened the gate.
    package var watchdogFired: Bool
    /// Packets handed to user space while no gate was armed.
    package var packetsOutsideEpoch: UInt64
    /// Channels into this member whose marker did not arrive in time: that of the flush in hold mode, that of the cut
    /// in colour mode.
    package var markersMissing: [Channel]
    /// Channels into this member on which the marker of the cut arrived without its colour.
    package var bleached: [Channel]
    /// Wall-clock time of the release in nanoseconds since 1970.
    package var releasedAt: UInt64
    /// From the rule being live to the rule being gone, in nanoseconds.
    package var holdTime: UInt64

    package init(
        member: MemberName, held: UInt64 = 0, heldBeforeCut: UInt64 = 0, logged: UInt64 = 0, overflowed: UInt64 = 0,
        foreignChanges: UInt64 = 0, unbroken: Bool = true, watchdogFired: Bool = false,
        packetsOutsideEpoch: UInt64 = 0, markersMissing: [Channel] = [], bleached: [Channel] = [],
        releasedAt: UInt64 = 0, holdTime: UInt64 = 0
    ) {
        self.member = member
        self.held = held
        self.heldBeforeCut = heldBeforeCut
        self.logged = logged
        self.overflowed = overflowed
        self.foreignChanges = foreignChanges
        self.unbroken = unbroken
        self.watchdogFired = watchdogFired
        self.packetsOutsideEpoch = packetsOutsideEpoch
        self.markersMissing = markersMissing
        self.bleached = bleached
        self.releasedAt = releasedAt
        self.holdTime = holdTime
    }
}

/// One stored file of a member.
package struct StoredPart: Hashable, Sendable, Codable {
    /// What it is: `memory`, `domain`, `channel-log` or `disk:` and the disk's target name.
    package var kind: String
    /// Path below the snapshot's folder.
    package var path: String
    /// Size in bytes.
    package var size: UInt64
    /// SHA-256 of the bytes, lower-case hexadecimal.
    package var sha256: String

    package init(kind: String, path: String, size: UInt64, sha256: String) {
        self.kind = kind
        self.path = path
        self.size = size
        self.sha256 = sha256
    }
}

/// What a host has stored of one member.
package struct StoredMember: Hashable, Sendable, Codable {
    package var member: MemberName
    package var parts: [StoredPart]
    /// Wall-clock time at which the last part was safe, in nanoseconds since 1970.
    package var savedAt: UInt64
    /// The hypervisor's description of the VM's needs elsewhere: hypervisor, version, CPU, machine type.
    package var requirements: [String: String]

    package init(member: MemberName, parts: [StoredPart], savedAt: UInt64, requirements: [String: String]) {
        self.member = member
        self.parts = parts
        self.savedAt = savedAt
        self.requirements = requirements
    }
}

/// Why something was refused or failed: for people, with a code that programs can rely on.
package struct Failure: Error, Hashable, Sendable, Codable, CustomStringConvertible {
    package var code: FailureCode
    package var member: MemberName?
    /// What happened and what to do about it, in whole sentences.
    package var message: String

    package init(_ code: FailureCode, member: MemberName? = nil, _ message: String) {
        self.code = code
        self.member = member
        self.message = message
    }

    package var description: String {
        if let member { "\(member): \(message)" } else { message }
    }
}

/// The closed list of reasons. `exitCode` is what the command line ends with; the numbers never change.
package enum FailureCode: String, Sendable, Codable, CaseIterable {
    case internalError = "internal-error"
    case usage = "usage"
    case unreachable = "unreachable"
    case unauthorized = "unauthorized"
    case notFound = "not-found"
    case alreadyExists = "already-exists"
    case unknownMachine = "unknown-machine"
    case machineNotRunning = "machine-not-running"
    case memberInOtherCluster = "member-in-other-cluster"
    case interfaceWithoutTap = "interface-without-tap"
    case noRights = "no-rights"
    case hypervisorUnavailable = "hypervisor-unavailable"
    case queueTaken = "queue-taken"
    case noSpace = "no-space"
    case repositoryNotWritable = "repository-not-writable"
    case snapshotDamaged = "snapshot-damaged"
    case manifestVersion = "manifest-version"
    case originalsRunning = "originals-running"
    case tokenRefused = "token-refused"
    case foreignCertificate = "foreign-certificate"
    case hostUnavailable = "host-unavailable"
    case busy = "busy"
    case aborted = "aborted"
    case gateBroken = "gate-broken"
    case deadline = "deadline"
    case unsupported = "unsupported"
    case incompatibleHost = "incompatible-host"
    case cancelled = "cancelled"
    case holdExceeded = "hold-exceeded"
    /// `holdfast doctor` found what keeps a snapshot from being taken.
    case blockersFound = "blockers-found"

    package var exitCode: Int32 {
        switch self {
        case .internalError: 1
        case .usage: 64
        case .unreachable: 3
        case .unauthorized: 4
        case .notFound: 5
        case .alreadyExists: 6
        case .unknownMachine: 10
        case .machineNotRunning: 11
        case .memberInOtherCluster: 12
        case .interfaceWithoutTap: 13
        case .noRights: 14
        case .hypervisorUnavailable: 15
        case .queueTaken: 16
        case .noSpace: 17
        case .repositoryNotWritable: 18
        case .snapshotDamaged: 19
        case .manifestVersion: 20
        case .originalsRunning: 21
        case .tokenRefused: 22
        case .foreignCertificate: 23
        case .hostUnavailable: 24
        case .busy: 25
        case .aborted: 26
        case .gateBroken: 27
        case .deadline: 28
        case .unsupported: 29
        case .incompatibleHost: 30
        case .cancelled: 31
        case .holdExceeded: 32
        case .blockersFound: 33
        }
    }
}

/// What a participant tells the coordinator.
package enum SnapshotReport: Hashable, Sendable {
    case prepared
    case refused([Failure])
    /// In which mode: one that comes late, from before the epoch fell back, must not count for the other.
    case armed(SnapshotMode)
    /// All markers are in, or the bound has passed: then the channels without a marker are named. Bleached are those
    /// whose marker arrived without its colour.
    case flushed(SnapshotMode, missing: [Channel] = [], bleached: [Channel] = [])
    case cut([MemberCut])
    case settled
    case released([GateAttestation])
    case saved([StoredMember])
    case sealed
    /// Something went wrong here. The gates of this host are open and its guests run, or are on their way to it.
    case failed(Failure)
    /// Everything of the epoch is undone on this host.
    case aborted
}
