import Testing

@testable import DesktopLab

@Suite struct WitnessJudgementTests {
    /// Ten reports of each of two members after a restore at 1000 ms; a test changes them as its fault would.
    private func reports(
        _ change: (_ member: Int, _ place: Int, inout WitnessReport) -> Void = { _, _, _ in }
    ) -> [Int: [WitnessReport]] {
        var result: [Int: [WitnessReport]] = [:]
        for member in 1...2 {
            result[member] = (1...10).map { place in
                let connections = [ConnectionReport.Kind.ping, .bulk].map {
                    ConnectionReport(
                        peer: 3 - member, kind: $0, state: .open, sent: UInt64(place * 10),
                        received: UInt64(place * 10), mismatches: 0, silence: 20, longestSilence: 300,
                        heardAfter: 40)
                }
                var report = WitnessReport(
                    sequence: UInt64(place), uptime: UInt64(1000 + place * 100), restores: 1, restoredAt: 1000,
                    diskSequence: UInt64(place), diskMismatches: 0, diskFailure: 0, connections: connections)
                change(member, place, &report)
                return report
            }
        }
        return result
    }

    @Test func anUndisturbedRestoreIsWhole() {
        let judgement = WitnessJudgement(after: reports())
        #expect(judgement.total == 2)
        #expect(judgement.survived == 2)
        #expect(judgement.mismatches == 0)
        #expect(judgement.stall == 40)
        #expect(judgement.isWhole)
    }

    /// As after an inconsistent cut: what lay in the socket is read, then nothing comes any more.
    @Test func aConnectionThatFallsSilentAtOneEndHasNotSurvived() {
        let judgement = WitnessJudgement(
            after: reports { member, place, report in
                guard member == 2 else { return }
                report.connections[1].received = UInt64(10 + min(place, 3))
                report.connections[1].heardAfter = UInt64(place * 100)
            })
        #expect(judgement.survived == 1)
        #expect(judgement.connections.first { !$0.survived }?.kind == .bulk)
        #expect(judgement.stall == 1000)
        #expect(!judgement.isWhole)
    }

    @Test(arguments: [ConnectionReport.State.reset, .closed, .waiting])
    func aConnectionThatIsNotOpenHasNotSurvived(_ state: ConnectionReport.State) {
        let judgement = WitnessJudgement(
            after: reports { member, place, report in
                if member == 1, place > 8 { report.connections[0].state = state }
            })
        #expect(judgement.survived == 1)
        #expect(judgement.connections.first { !$0.survived }?.state == state)
    }

    @Test func aMismatchAtEitherEndCounts() {
        let judgement = WitnessJudgement(
            after: reports { member, place, report in
                if place > 5 { report.connections[0].mismatches = UInt64(member) }
            })
        #expect(judgement.mismatches == 3)
        #expect(judgement.survived == 1)
    }

    @Test func aDiskOfAnotherInstantCounts() {
        let judgement = WitnessJudgement(
            after: reports { member, _, report in report.diskMismatches = member == 1 ? 4 : 0 })
        #expect(judgement.mismatches == 4)
        #expect(judgement.survived == 2)
        #expect(!judgement.isWhole)
    }

    @Test func aJournalThatEndedCounts() {
        let judgement = WitnessJudgement(
            after: reports { member, _, report in report.diskFailure = member == 1 ? 5 : 0 })
        #expect(judgement.mismatches == 1)
    }

    @Test func theEndThatWaitedLongestIsTheStall() {
        let judgement = WitnessJudgement(
            after: reports { member, _, report in
                report.connections[0].heardAfter = member == 1 ? 60 : 150
            })
        #expect(judgement.stall == 150)
        #expect(judgement.connections.map(\.stall) == [150, 40])
    }

    @Test func whatWasSaidBeforeTheRestoreIsLeftOut() {
        let after = reports { _, place, report in
            guard place == 1 else { return }
            report.restores = 0
            report.connections[0].heardAfter = 9000
        }
        #expect(WitnessJudgement(after: after).stall == 40)
    }

    @Test func aMemberThatSaysNothingIsNamed() {
        var after = reports()
        after[2] = []
        let judgement = WitnessJudgement(after: after)
        #expect(judgement.silentMembers == [2])
        #expect(judgement.total == 2)
        #expect(judgement.survived == 0)
        #expect(!judgement.isWhole)
    }

    @Test func everyPairIsCounted() {
        var after = reports()
        after[3] = []
        after[4] = []
        #expect(WitnessJudgement(after: after).total == 12)
    }
}
