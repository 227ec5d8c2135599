import PacketGate
import Packets
import SnapshotProtocol

// The gate's terms in those of the protocol, and the other way round.

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
