import GRPCCore
import SnapshotProtocol
import SwiftProtobuf
import WireProtocol

/// The first byte chooses the message, the others are it.
enum WireSubject {
    static func run(_ bytes: [UInt8]) throws {
        guard let kind = bytes.first else { return }
        let rest = Array(bytes.dropFirst())
        switch kind % 12 {
        case 0: try check(rest, { try AgentMessage($0) }, { Holdfast_V1_AgentMessage($0) })
        case 1: try check(rest, { try ManagerMessage($0) }, { Holdfast_V1_ManagerMessage($0) })
        case 2: try check(rest, { RestoreRequest($0) }, { Holdfast_V1_RestoreRequest($0) })
        case 3:
            let event = try check(rest, { try SnapshotProgress($0) }, { Holdfast_V1_SnapshotEvent($0) })
            if case .sealed(let snapshot) = event { use(snapshot) }
        case 4: try check(rest, { try RestoreProgress($0) }, { Holdfast_V1_RestoreEvent($0) })
        case 5: try check(rest, { try MachineInventory($0) }, { Holdfast_V1_HostedMachineList($0) })
        case 6: try check(rest, { ClusterSummary($0) }, { Holdfast_V1_Cluster($0) })
        case 7:
            let found = try check(rest, { try SnapshotVerification($0) }, { Holdfast_V1_Verification($0) })
            if let found { use(found.snapshot) }
        case 8: try check(rest, { AgentStatus($0) }, { Holdfast_V1_Agent($0) })
        case 9: try trailer(rest)
        case 10: try check(rest, { $0 as Holdfast_V1_EnrollRequest }, { $0 })
        default: try check(rest, { $0 as Holdfast_V1_CreateSnapshotRequest }, { $0 })
        }
    }

    /// What is read is written so that the same is read again; nil if it is refused.
    @discardableResult
    private static func check<Wire: Message, Domain: Equatable>(
        _ bytes: [UInt8], _ read: (Wire) throws -> Domain, _ write: (Domain) -> Wire
    ) throws -> Domain? {
        guard let wire = try? Wire(serializedBytes: bytes), let value = try? read(wire) else { return nil }
        let written: [UInt8] = try write(value).serializedBytes()
        try Broken.unless(
            try read(Wire(serializedBytes: written)) == value, "\(Wire.self) is written otherwise than read.")
        return value
    }

    /// What the command line computes for its table.
    private static func use(_ snapshot: SnapshotSummary) {
        _ = snapshot.skew
        _ = snapshot.size
        _ = Verdict.judge(snapshot.members, mode: snapshot.mode)
    }

    private static func trailer(_ bytes: [UInt8]) throws {
        var metadata = Metadata()
        metadata.addBinary(bytes, forKey: "holdfast-failures-bin")
        let error = RPCError(code: .unavailable, message: "", metadata: metadata)
        guard let failures = FailureTrailer.failures(in: error) else { return }
        try Broken.unless(
            FailureTrailer.failures(in: FailureTrailer.error(failures)) == failures,
            "Failures are written otherwise than read.")
    }
}
