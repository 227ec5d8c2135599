@testable import DesktopLab

/// The bytes are a line of the console; also what a checksum, added here, covers.
enum WitnessSubject {
    static func run(_ bytes: [UInt8]) throws {
        let line = String(decoding: bytes, as: UTF8.self)
        _ = WitnessReport(line: line)
        guard let report = WitnessReport(line: signed(line)) else { return }
        _ = report.isTalkingToAll
        // Half a line of the killed guest before it changes nothing.
        try Broken.unless(WitnessReport(line: "HF 12 4" + signed(line)) == report, "Half a line spoils the next.")
    }

    static func signed(_ text: String) -> String {
        "\(text) *\(String(WitnessReport.checksum(text.utf8), radix: 16))"
    }
}
