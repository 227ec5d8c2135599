import SnapshotProtocol
import SwiftProtobuf
import Testing
import WireProtocol

/// What this version does not know is refused, never guessed at.
@Suite struct UnknownMessageTests {
    @Test func messagesWithoutAChoiceAreRefused() {
        #expect(throws: WireError.absent("agent's message")) { try AgentMessage(Holdfast_V1_AgentMessage()) }
        #expect(throws: WireError.absent("manager's message")) { try ManagerMessage(Holdfast_V1_ManagerMessage()) }
        #expect(throws: WireError.absent("snapshot report")) {
            try AgentMessage(.with { $0.snapshot = .with { $0.cluster = "web" } })
        }
        #expect(throws: WireError.absent("restore report")) { try AgentMessage(.with { $0.restore = .init() }) }
        #expect(throws: WireError.absent("result in the answer about machines")) {
            try AgentMessage(.with { $0.machines = .init() })
        }
        #expect(throws: WireError.absent("snapshot command")) {
            try ManagerMessage(.with { $0.snapshot = .with { $0.epoch = 1 } })
        }
        #expect(throws: WireError.absent("restore command")) { try ManagerMessage(.with { $0.restore = .init() }) }
        #expect(throws: WireError.absent("snapshot event")) { try SnapshotProgress(Holdfast_V1_SnapshotEvent()) }
        #expect(throws: WireError.absent("restore event")) { try RestoreProgress(Holdfast_V1_RestoreEvent()) }
    }

    @Test func findingsWithoutASubjectOrALevelAreRefused() {
        #expect(throws: WireError.absent("subject of a finding")) { try Finding(Holdfast_V1_Finding()) }
        #expect(throws: WireError.absent("level of a finding")) { try Finding(.with { $0.host = "pc1" }) }
        #expect(throws: WireError.unknown("level of a finding", 9)) {
            try Finding(
                .with {
                    $0.host = "pc1"
                    $0.level = .UNRECOGNIZED(9)
                })
        }
        #expect(throws: WireError.absent("result in the answer about a desktop")) {
            try AgentMessage(.with { $0.examination = .init() })
        }
        #expect(throws: WireError.absent("path test report")) { try AgentMessage(.with { $0.pathTest = .init() }) }
        #expect(throws: WireError.absent("path test command")) { try ManagerMessage(.with { $0.pathTest = .init() }) }
    }

    /// A later version's agent is understood as far as that goes.
    @Test func aCheckOfALaterVersionIsShown() throws {
        let finding = try Finding(
            .with {
                $0.check = "phase-of-the-moon"
                $0.host = "pc1"
                $0.level = .warning
            })
        #expect(finding.check == "phase-of-the-moon")
    }

    @Test func aCommandOfALaterVersionIsRefused() throws {
        // Field 99, varint 1: a branch that this version has never heard of.
        let wire = try Holdfast_V1_SnapshotCommand(serializedBytes: [0x98, 0x06, 0x01] as [UInt8])
        #expect(throws: WireError.absent("snapshot command")) { try SnapshotCommand(wire) }
    }

    @Test func numbersThatAreNotOursAreRefused() {
        #expect(throws: WireError.absent("failure code")) { try Failure(Holdfast_V1_Failure()) }
        #expect(throws: WireError.unknown("failure code", 999)) {
            try Failure(.with { $0.code = .UNRECOGNIZED(999) })
        }
        #expect(throws: WireError.absent("snapshot mode")) { try SnapshotPlan(Holdfast_V1_SnapshotPlan()) }
        #expect(throws: WireError.unknown("snapshot mode", 9)) {
            try SnapshotPlan(.with { $0.mode = .UNRECOGNIZED(9) })
        }
    }

    @Test func evidenceMustBeWhole() {
        let whole = Holdfast_V1_MemberEvidence(Samples.evidence)
        let cripples: [(String, (inout Holdfast_V1_MemberEvidence) -> Void)] = [
            ("planned member in the evidence", { $0.clearMember() }), ("cut in the evidence", { $0.clearCut() }),
            ("gate in the evidence", { $0.clearGate() }), ("stored parts in the evidence", { $0.clearStored() }),
        ]
        for (field, cripple) in cripples {
            var wire = whole
            cripple(&wire)
            #expect(throws: WireError.absent(field)) { try MemberEvidence(wire) }
        }
    }
}
