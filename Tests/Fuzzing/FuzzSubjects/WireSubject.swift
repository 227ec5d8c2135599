import GRPCCore
import SnapshotProtocol
import SwiftProtobuf
import WireProtocol

@testable import HoldfastCommands

/// The first byte chooses the message, the others are it.
enum WireSubject {
    static func run(_ bytes: [UInt8]) throws {
        guard let kind = bytes.first else { return }
        let rest = Array(bytes.dropFirst())
        switch kind % 20 {
        case 0: try check(rest, { try AgentMessage($0) }, { Holdfast_V1_AgentMessage($0) })
        case 1: try check(rest, { try ManagerMessage($0) }, { Holdfast_V1_ManagerMessage($0) })
        case 2: try check(rest, { RestoreRequest($0) }, { Holdfast_V1_RestoreRequest($0) })
        case 3:
            let event = try check(rest, { try SnapshotProgress($0) }, { Holdfast_V1_SnapshotEvent($0) })
            if case .sealed(let snapshot) = event { try show(.snapshot(snapshot)) }
        case 4:
            let event = try check(rest, { try RestoreProgress($0) }, { Holdfast_V1_RestoreEvent($0) })
            if case .restored(let summary) = event { try show(.restored(summary)) }
        case 5:
            let found = try check(rest, { try MachineInventory($0) }, { Holdfast_V1_HostedMachineList($0) })
            if let found { try show(.machines(found)) }
        case 6:
            let cluster = try check(rest, { ClusterSummary($0) }, { Holdfast_V1_Cluster($0) })
            if let cluster { try show(.cluster(cluster)) }
        case 7:
            let found = try check(rest, { try SnapshotVerification($0) }, { Holdfast_V1_Verification($0) })
            if let found { try show(.verification(found)) }
        case 8:
            let agent = try check(rest, { AgentStatus($0) }, { Holdfast_V1_Agent($0) })
            if let agent { try show(.agents([agent])) }
        case 9: try trailer(rest)
        case 10: try check(rest, { $0 as Holdfast_V1_EnrollRequest }, { $0 })
        case 11: try check(rest, { $0 as Holdfast_V1_CreateSnapshotRequest }, { $0 })
        case 12: try check(rest, { $0 as Holdfast_V1_ByName }, { $0 })
        case 13: try check(rest, { $0 as Holdfast_V1_EnrollResponse }, { $0 })
        case 14:
            try check(
                rest, { (list: Holdfast_V1_AgentList) in list.agents.map { AgentStatus($0) } },
                { agents in .with { $0.agents = agents.map { Holdfast_V1_Agent($0) } } })
        case 15:
            let clusters = try check(
                rest, { (list: Holdfast_V1_ClusterList) in list.clusters.map { ClusterSummary($0) } },
                { clusters in .with { $0.clusters = clusters.map { Holdfast_V1_Cluster($0) } } })
            if let clusters { try show(.clusters(clusters)) }
        case 16:
            let snapshots = try check(
                rest, { (list: Holdfast_V1_SnapshotList) in try list.snapshots.map { try SnapshotSummary($0) } },
                { snapshots in .with { $0.snapshots = snapshots.map { Holdfast_V1_Snapshot($0) } } })
            if let snapshots { try show(.snapshots(snapshots)) }
        case 17:
            let findings = try check(rest, { try [Finding]($0) }, { Holdfast_V1_Diagnosis($0) })
            if let findings { try show(.diagnosis(Diagnosis(findings: findings, isVerbose: true))) }
        case 18: try check(rest, { DiagnosisScope($0) }, { Holdfast_V1_DiagnoseRequest($0) })
        default: try check(rest, { $0 as Holdfast_V1_Nothing }, { $0 })
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

    /// What the command line makes of an answer, whatever it says.
    private static func show(_ answer: Answer) throws {
        for format in [OutputFormat.table, .json] {
            let text = answer.rendered(as: format)
            // By bytes: to the comparison of characters a mark hides what it follows.
            try Broken.unless(text.utf8.last == UInt8(ascii: "\n"), "An answer ends within a line.")
            try Broken.unless(
                !text.utf8.contains { $0 < 0x20 && $0 != UInt8(ascii: "\n") }, "A terminal is given orders.")
        }
        _ = answer.warnings
        _ = answer.exitCode
        if case .snapshot(let snapshot) = answer { _ = Verdict.judge(snapshot.members, mode: snapshot.mode) }
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
