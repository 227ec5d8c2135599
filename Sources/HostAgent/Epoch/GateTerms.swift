import Hypervisor
import PacketGate
import Packets
import SnapshotProtocol

// The gate's terms in those of the protocol, and the other way round.

extension EpochPlan {
    /// - Parameters:
    ///   - own: the members of this host.
    ///   - machines: what they are now.
    ///   - members: all of the cluster.
    ///   - holdBudget: in milliseconds, as `colourBudget`.
    init(
        epoch: UInt64, key: [UInt8], own: [PlannedMember], machines: [MemberName: VirtualMachine],
        members: [PlannedMember], holdBudget: UInt64, colourBudget: UInt64
    ) throws {
        let gated = try own.map { member in
            GatedMember(
                name: member.name.rawValue,
                nics: try member.nics.compactMap { planned in
                    let nic = machines[member.name]?.nics.first { $0.mac == planned.mac }
                    guard let tap = nic?.tap, let bridge = nic?.bridge else { return nil }
                    return GatedNIC(mac: try planned.address, tap: tap, bridge: bridge)
                })
        }
        let peers = try members.flatMap { member in
            try member.nics.map { PeerNIC(member: member.name.rawValue, mac: try $0.address) }
        }
        self.init(
            epoch: epoch, key: key, members: gated, peers: peers, holdBudget: .milliseconds(Int64(holdBudget)),
            colourBudget: .milliseconds(Int64(colourBudget)))
    }
}

extension GateMode {
    init(_ mode: SnapshotMode) {
        self =
            switch mode {
            case .hold: .hold
            case .colour: .colour
            }
    }
}

extension Marker.Kind {
    init(_ kind: MarkerKind) {
        self =
            switch kind {
            case .flush: .flush
            case .probe: .probe
            case .cut: .cut
            }
    }
}

extension MarkerKind {
    init(_ kind: Marker.Kind) {
        self =
            switch kind {
            case .flush: .flush
            case .probe: .probe
            case .cut: .cut
            }
    }
}

extension GateFault {
    var failure: Failure {
        switch self {
        case .watchdog(let member):
            Failure(
                .holdExceeded, member: MemberName(member),
                "\(description) Take the snapshot with --mode colour, or raise hold.budget (in colour mode colour.budget) at the manager."
            )
        default: Failure(.gateBroken, description)
        }
    }
}

extension GateAttestation {
    init(_ evidence: GateEvidence) {
        self.init(
            member: MemberName(evidence.member), held: evidence.held, heldBeforeCut: evidence.heldBeforeCut,
            logged: evidence.logged, overflowed: evidence.overflowed, foreignChanges: evidence.foreignChanges,
            unbroken: evidence.unbroken, watchdogFired: evidence.watchdogFired,
            packetsOutsideEpoch: evidence.packetsOutsideEpoch,
            markersMissing: evidence.markersMissing.map {
                Channel(sender: MemberName($0), receiver: MemberName(evidence.member))
            },
            bleached: evidence.bleached.map {
                Channel(sender: MemberName($0), receiver: MemberName(evidence.member))
            },
            releasedAt: evidence.releasedAt, holdTime: evidence.holdTime)
    }
}
