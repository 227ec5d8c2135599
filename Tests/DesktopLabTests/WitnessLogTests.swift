import Foundation
import Testing

@testable import DesktopLab

@Suite struct WitnessLogTests {
    private func line(_ sequence: Int) -> String {
        let text = "HF \(sequence) \(sequence * 100) 0,0 1,0,0"
        return "\(text) *\(String(WitnessReport.checksum(text.utf8), radix: 16))\r\n"
    }

    private func withLog(_ text: String, _ body: (WitnessLog) throws -> Void) throws {
        let path = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(WitnessLog(path: path))
    }

    @Test func readsOnFromWhereItStopped() throws {
        let whole = line(1) + line(2)
        try withLog(whole + "HF 3 30") { log in
            let first = log.reports()
            #expect(first.reports.map(\.sequence) == [1, 2])
            #expect(first.end == UInt64(whole.utf8.count))
            #expect(log.reports(since: first.end).reports.isEmpty)
            #expect(log.reports(since: UInt64(line(1).utf8.count)).reports.map(\.sequence) == [2])
            #expect(log.latest?.sequence == 2)
        }
    }

    @Test func aRestoredGuestAppendsToTheHalfLineOfTheKilled() throws {
        try withLog(line(5) + line(6).prefix(9) + line(4).dropFirst(7) + line(5)) { log in
            #expect(log.reports().reports.map(\.sequence) == [5, 5])
        }
    }

    @Test func otherBytesAreSkipped() throws {
        try withLog("\u{0}\u{1B}[0m garbage\n" + line(1)) { #expect($0.reports().reports.map(\.sequence) == [1]) }
    }

    @Test func aMissingLogIsEmpty() {
        let log = WitnessLog(path: "/nonexistent/vm.log")
        #expect(log.size == 0)
        #expect(log.reports(since: 7).end == 7)
        #expect(log.latest == nil)
    }
}
