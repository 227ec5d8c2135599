import FoundationEssentials
import WireProtocol

/// The bytes are the text of a token; also what a token has within its base 64.
enum TokenSubject {
    static func run(_ bytes: [UInt8]) throws {
        try text(String(decoding: bytes, as: UTF8.self))
        let encoded = Data(bytes).base64EncodedString().map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 }
        try text("holdfast-enroll-1." + String(encoded.filter { $0 != "=" }))
    }

    private static func text(_ text: String) throws {
        guard let token = try? EnrollmentToken(parsing: text) else { return }
        try Broken.unless(
            try EnrollmentToken(parsing: token.description) == token, "A token is written otherwise than read.")
    }
}
