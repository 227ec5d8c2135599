import Crypto

/// SHA-256 in the form in which the repository writes it: 64 lower-case hexadecimal digits.
enum SHA256Hex {
    static let length = 64

    static func of(_ digest: SHA256.Digest) -> String {
        var text = ""
        text.reserveCapacity(length)
        for byte in digest {
            if byte < 16 { text += "0" }
            text += String(byte, radix: 16)
        }
        return text
    }

    static func isValid(_ text: String) -> Bool {
        text.utf8.count == length && text.utf8.allSatisfy(isDigit)
    }

    static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }
}
