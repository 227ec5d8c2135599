/// Looks over a text before it is parsed, and refuses what must not reach the parser.
///
/// By octets, and exact: `<` begins nothing but a tag, a comment, CDATA, a processing instruction or a document type, and
/// stands nowhere else but in the middle two. Whether all of it fits together is left to the parser.
///
/// That one does not stop at an error until there is an element, and Foundation keeps some 80 octets for each. So what
/// could be wrong a million times before is refused here too.
struct MarkupScan {
    private static let space = Array("\t\n\r ".utf8)

    private let octets: [UInt8]
    private var position = 0

    static func check(_ octets: [UInt8]) throws(MarkupError) {
        guard octets.count <= MarkupDocument.longest else { throw .tooLong }
        let isSpace = { (octet: UInt8) in space.contains(octet) }
        guard octets.first(where: { !isSpace($0) }) == UInt8(ascii: "<"),
            octets.last(where: { !isSpace($0) }) == UInt8(ascii: ">")
        else { throw .notWhole }
        var scan = MarkupScan(octets: octets)
        guard !octets.contains(where: { $0 < 0x20 && !isSpace($0) }), !scan.skip(to: "\u{fffe}"),
            !scan.skip(to: "\u{ffff}")
        else { throw .controlCharacter }
        try scan.passDeclaration()
        while try scan.passText() { try scan.passMarkup() }
    }

    private init(octets: [UInt8]) { self.octets = octets }

    private func isAt(_ text: StaticString) -> Bool {
        guard octets.count - position >= text.utf8CodeUnitCount else { return false }
        return text.withUTF8Buffer { octets[position..<position + $0.count].elementsEqual($0) }
    }

    /// Goes on to the next such text; false, and to nowhere, if there is none.
    private mutating func skip(to text: StaticString) -> Bool {
        let start = position
        while let next = octets[position...].firstIndex(of: text.utf8Start.pointee) {
            position = next
            if isAt(text) { return true }
            position += 1
        }
        position = start
        return false
    }

    private var malformed: MarkupError {
        .malformed(line: 1 + octets[..<position].count { $0 == UInt8(ascii: "\n") })
    }

    /// The declaration may be left out. What is in it decides how the rest is decoded, so it is taken by the letter.
    private mutating func passDeclaration() throws(MarkupError) {
        guard isAt("<?xml"), octets.count > 5, Self.space.contains(octets[5]) else { return }
        guard skip(to: "?>") else { throw malformed }
        let words = octets[5..<position].filter { !Self.space.contains($0) }
        let plain = String(decoding: words, as: UTF8.self).lowercased().replacing("'", with: "\"")
        let encodings = ["", "encoding=\"utf-8\""]
        let forms = encodings.flatMap { encoding in
            ["", "standalone=\"yes\"", "standalone=\"no\""].map { "version=\"1.0\"\(encoding)\($0)" }
        }
        guard forms.contains(plain) else { throw .declaration }
        position += 2
    }

    /// Goes on to the next markup; false at the end.
    private mutating func passText() throws(MarkupError) -> Bool {
        while position < octets.count {
            switch octets[position] {
            case UInt8(ascii: "<"): return true
            case UInt8(ascii: "]") where isAt("]]>"): throw malformed
            case UInt8(ascii: "&"): try passReference()
            default: position += 1
            }
        }
        return false
    }

    /// Only a document type could give other names a meaning.
    private mutating func passReference() throws(MarkupError) {
        guard let end = octets[position...].prefix(16).firstIndex(of: UInt8(ascii: ";")) else { throw malformed }
        let name = String(decoding: octets[position + 1..<end], as: UTF8.self)
        let isHexadecimal = name.hasPrefix("#x")
        let digits = name.dropFirst(isHexadecimal ? 2 : 1)
        if name.hasPrefix("#"), let first = digits.first, first.isHexDigit,
            let scalar = UInt32(digits, radix: isHexadecimal ? 16 : 10).flatMap(Unicode.Scalar.init)
        {
            guard scalar.value >= 0x20 || "\t\n\r".unicodeScalars.contains(scalar), scalar.value & ~1 != 0xFFFE else {
                throw malformed
            }
        } else {
            guard ["lt", "gt", "amp", "quot", "apos"].contains(name) else { throw malformed }
        }
        position = end + 1
    }

    private mutating func passMarkup() throws(MarkupError) {
        if isAt("<!--") {
            position += 4
            // Two hyphens end a comment and stand nowhere in it. libxml2 copies all of it for each that does.
            guard skip(to: "--"), isAt("-->") else { throw malformed }
            position += 3
        } else if isAt("<![CDATA[") {
            guard skip(to: "]]>") else { throw malformed }
            position += 3
        } else if isAt("<!DOCTYPE") {
            throw .documentType
        } else if isAt("<?") {
            throw .processingInstruction
        } else {
            try passTag()
        }
    }

    private mutating func passTag() throws(MarkupError) {
        var quote: UInt8?
        for index in (position + 1)..<octets.count {
            guard index - position < MarkupDocument.longestTag else { throw .tooLong }
            switch octets[index] {
            case UInt8(ascii: "<"):
                position = index
                throw malformed
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                if quote == nil { quote = octets[index] } else if quote == octets[index] { quote = nil }
            case UInt8(ascii: ">") where quote == nil: return position = index + 1
            default: break
            }
        }
        throw malformed
    }
}
