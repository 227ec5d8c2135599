import SnapshotProtocol
import Testing
import WireProtocol

@Suite struct EnrollmentTokenTests {
    private let token = EnrollmentToken(
        address: "10.0.0.1:7444", host: HostName("pc1"), secret: (0..<32).map { $0 &* 251 },
        authority: (0..<255).map { UInt8($0) })

    @Test func aTokenIsOneLineThatCanBeReadBack() throws {
        let text = token.description
        #expect(text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" || $0 == ".") })
        #expect(try EnrollmentToken(parsing: text) == token)
        #expect(try EnrollmentToken(parsing: "  \(text)\n") == token)
    }

    @Test func everyLengthOfSecretIsReadBack() throws {
        for length in 1...8 {
            var other = token
            other.secret = Array(repeating: 0xff, count: length)
            #expect(try EnrollmentToken(parsing: other.description) == other)
        }
    }

    @Test func whatIsNoTokenIsRefused() {
        let text = token.description
        let bad = [
            "", "x", "holdfast-enroll-1.", "holdfast-enroll-2." + text.dropFirst(18), String(text.dropLast(40)),
            String(text.dropFirst(5)), text + "!",
        ]
        for candidate in bad {
            #expect(throws: EnrollmentToken.Malformed.self, "\(candidate)") { try EnrollmentToken(parsing: candidate) }
        }
    }
}
