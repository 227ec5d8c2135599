import Testing

@testable import DesktopLab

@Suite struct WitnessReportTests {
    /// As a guest wrote it, with the sum it computed.
    private static let line = "HF 25 5823 0,0 124,0,0 2pw0,0,0,0,0,0 2bw0,0,0,0,0,0 *bdb2072f"

    private func signed(_ text: String) -> String {
        "\(text) *\(String(WitnessReport.checksum(text.utf8), radix: 16))"
    }

    @Test func readsWhatAGuestWrote() throws {
        let report = try #require(WitnessReport(line: Self.line + "\r"))
        #expect(report.sequence == 25)
        #expect(report.uptime == 5823)
        #expect(report.diskSequence == 124)
        #expect(report.connections.map(\.peer) == [2, 2])
        #expect(report.connections.map(\.kind) == [.ping, .bulk])
        #expect(report.connections.allSatisfy { $0.state == .waiting })
        #expect(!report.isTalkingToAll)
    }

    @Test func readsEveryField() throws {
        let text = "HF 7 900 2,850 44,3,5 12bo70000,80000,1,20,300,45 3pr4,5,0,60,60,0"
        let report = try #require(WitnessReport(line: signed(text)))
        #expect(
            report
                == WitnessReport(
                    sequence: 7, uptime: 900, restores: 2, restoredAt: 850, diskSequence: 44, diskMismatches: 3,
                    diskFailure: 5,
                    connections: [
                        ConnectionReport(
                            peer: 12, kind: .bulk, state: .open, sent: 70000, received: 80000, mismatches: 1,
                            silence: 20, longestSilence: 300, heardAfter: 45),
                        ConnectionReport(
                            peer: 3, kind: .ping, state: .reset, sent: 4, received: 5, mismatches: 0, silence: 60,
                            longestSilence: 60, heardAfter: 0),
                    ]))
    }

    /// A cut in the middle of a line leaves its first half to the killed guest and its second half to the restored one.
    @Test func halvesOfLinesAreNoReports() {
        for length in 1..<Self.line.count {
            #expect(WitnessReport(line: String(Self.line.prefix(length))) == nil)
            #expect(WitnessReport(line: String(Self.line.suffix(length))) == nil)
        }
    }

    @Test func halfALineDoesNotSpoilTheNext() {
        for length in 0..<Self.line.count {
            let report = WitnessReport(line: Self.line.prefix(length) + Self.line)
            #expect(report?.sequence == 25)
        }
    }

    @Test func twoHalvesOfDifferentLinesAreNoReport() {
        let other = signed("HF 26 5923 0,0 128,0,0 2pw0,0,0,0,0,0 2bw0,0,0,0,0,0")
        for length in 4..<20 {
            #expect(WitnessReport(line: Self.line.prefix(length) + other.dropFirst(length + 1)) == nil)
        }
    }

    @Test func everyChangedByteIsSeen() {
        for place in Self.line.indices where place != Self.line.startIndex {
            var damaged = Self.line
            damaged.replaceSubrange(place...place, with: Self.line[place] == "9" ? "8" : "9")
            #expect(WitnessReport(line: damaged) == nil, "\(damaged)")
        }
    }

    @Test(arguments: ["", "HF ", "HF 1", "login:", "HF 1 2 3 4 5 *0", "Kernel panic - not syncing"])
    func otherOutputIsNoReport(_ line: String) {
        #expect(WitnessReport(line: line) == nil)
    }

    @Test(arguments: [
        "HF 1 2 0,0 1,0", "HF 1 2 0 1,0,0", "HF x 2 0,0 1,0,0", "HF 1 2 0,0 1,0,0 2xo1,1,0,0,0,0",
        "HF 1 2 0,0 1,0,0 2po1,1,0,0,0", "HF 1 2 0,0 1,0,0 po1,1,0,0,0,0", "HF 1 2 0,0 1,0,0 2po1,,0,0,0,0",
    ])
    func signedNonsenseIsNoReport(_ text: String) {
        #expect(WitnessReport(line: signed(text)) == nil)
    }
}
