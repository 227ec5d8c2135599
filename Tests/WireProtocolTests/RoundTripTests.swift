import SnapshotProtocol
import SwiftProtobuf
import Testing
import WireProtocol

/// What is sent is what is received, through bytes.
@Suite struct RoundTripTests {
    private func bytes<Wire: Message>(_ wire: Wire) throws -> Wire {
        let bytes: [UInt8] = try wire.serializedBytes()
        return try Wire(serializedBytes: bytes)
    }

    @Test(arguments: Samples.agentMessages) func agentMessages(message: AgentMessage) throws {
        #expect(try AgentMessage(bytes(Holdfast_V1_AgentMessage(message))) == message)
    }

    @Test(arguments: Samples.managerMessages) func managerMessages(message: ManagerMessage) throws {
        #expect(try ManagerMessage(bytes(Holdfast_V1_ManagerMessage(message))) == message)
    }

    @Test func everyFailureCodeHasANumberOfItsOwn() {
        let numbers = FailureCode.allCases.map { Holdfast_V1_FailureCode($0).rawValue }
        #expect(Set(numbers).count == FailureCode.allCases.count)
        #expect(!numbers.contains(0))
    }

    @Test func agents() throws {
        for lastSeen in [nil, 0, UInt64.max] {
            let agent = AgentStatus(
                host: HostName("pc1"), connected: true, version: "1", hypervisors: ["a", "b"], lastSeen: lastSeen)
            #expect(try AgentStatus(bytes(Holdfast_V1_Agent(agent))) == agent)
        }
    }

    @Test func inventories() throws {
        let inventory = MachineInventory(
            machines: [nil, "", "web"].map {
                HostedMachine(host: HostName("pc1"), machine: Samples.machine, cluster: $0)
            },
            failures: Samples.failures)
        #expect(try MachineInventory(bytes(Holdfast_V1_HostedMachineList(inventory))) == inventory)
    }

    @Test func clusters() throws {
        let cluster = ClusterSummary(
            name: "web",
            members: [.init(name: MemberName("a")), .init(name: MemberName("b"), lastHost: HostName("pc1"))])
        #expect(try ClusterSummary(bytes(Holdfast_V1_Cluster(cluster))) == cluster)
    }

    @Test func snapshotsAndVerifications() throws {
        #expect(try SnapshotSummary(bytes(Holdfast_V1_Snapshot(Samples.snapshot))) == Samples.snapshot)
        let verification = SnapshotVerification(snapshot: Samples.snapshot, problems: ["One.", "Two."])
        #expect(try SnapshotVerification(bytes(Holdfast_V1_Verification(verification))) == verification)
    }

    @Test func progress() throws {
        let snapshot: [SnapshotProgress] = [
            .phase("arming"), .stored(member: MemberName("a"), bytes: 1, total: 2), .sealed(Samples.snapshot),
        ]
        for event in snapshot { #expect(try SnapshotProgress(bytes(Holdfast_V1_SnapshotEvent(event))) == event) }
        let restore: [RestoreProgress] = [
            .phase("loading"),
            .restored(
                RestoreSummary(
                    snapshot: "web-1", members: [MemberName("a"): HostName("pc1"), MemberName("b"): HostName("pc2")],
                    duration: 3, replayed: 4)),
        ]
        for event in restore { #expect(try RestoreProgress(bytes(Holdfast_V1_RestoreEvent(event))) == event) }
    }

    @Test func restoreRequests() throws {
        for (replace, replay, verify) in [(true, false, false), (false, true, false), (false, false, true)] {
            let request = RestoreRequest(
                snapshot: "web-1", placements: [MemberName("a"): HostName("pc1")], replaceRunning: replace,
                lostHosts: [HostName("pc2"), HostName("pc3")], replayLogs: replay, verify: verify)
            #expect(try RestoreRequest(bytes(Holdfast_V1_RestoreRequest(request))) == request)
        }
    }

    @Test func diagnoses() throws {
        #expect(try [Finding](bytes(Holdfast_V1_Diagnosis(Samples.findings))) == Samples.findings)
        for scope in [DiagnosisScope.desktops, .desktop(HostName("pc1")), .cluster("web"), .cluster("")] {
            #expect(try DiagnosisScope(bytes(Holdfast_V1_DiagnoseRequest(scope))) == scope)
        }
    }

    @Test func skewAndSizeFollowFromTheMembers() {
        var snapshot = Samples.snapshot
        var later = Samples.evidence
        later.cut.cutStartedAt = 12
        later.stored.parts = [StoredPart(kind: "memory", path: "b", size: 5, sha256: "")]
        snapshot.members[0].stored.parts = [StoredPart(kind: "memory", path: "a", size: 7, sha256: "")]
        snapshot.members.append(later)
        #expect(snapshot.skew == 10)
        #expect(snapshot.size == 12)
        snapshot.members = []
        #expect(snapshot.skew == 0)
    }
}
