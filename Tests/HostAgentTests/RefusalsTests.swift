import Hypervisor
import SnapshotProtocol
import Testing

@testable import HostAgent

@Suite("A preparation that fails")
struct RefusalsTests {
    private let host = HostName("desktop-1")
    private let members = ["a", "b", "c"].map { MemberName($0) }

    /// What a participant with three members says when its preparation has failed.
    private func reports(after error: any Error) -> [SnapshotReport] {
        let plan = SnapshotPlan(
            snapshot: "s", cluster: "c", epoch: Epoch(1), mode: .hold,
            members: members.map { PlannedMember(name: $0, host: host, machine: "uuid-\($0)", nics: []) },
            markerKey: [], holdBudget: 1_000, flushBound: 100)
        var machine = SnapshotParticipant(host: host)
        _ = machine.handle(.command(.prepare(plan)), at: Tick(0))
        var actions: [SnapshotParticipant.Action] = []
        for event in Refusals(error).events(for: members) { actions += machine.handle(event, at: Tick(1)) }
        return actions.compactMap { action in if case .report(let report) = action { report } else { nil } }
    }

    @Test("One member that fails is an answer for all: nobody waits for those that came after it")
    func one() {
        let failure = Failure(.noSpace, member: members[1], "full")
        #expect(reports(after: failure) == [.refused([failure])])
    }

    @Test("A failure of no member in particular ends it too")
    func none() {
        let error = HypervisorError.unavailable("libvirtd is down")
        #expect(reports(after: error) == [.refused([Failure(.hypervisorUnavailable, "libvirtd is down")])])
    }

    @Test("All reasons are told at once")
    func several() {
        let failures = members.map { Failure(.machineNotRunning, member: $0, "off") }
        #expect(reports(after: Refusals(failures: failures)) == [.refused(failures)])
    }
}
