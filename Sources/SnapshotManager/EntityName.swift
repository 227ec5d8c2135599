/// A name that we give: of a host, a cluster, a manager. Fit for file names, URIs and command lines.
package struct EntityName: Hashable, Sendable {
    package let text: String

    /// 1 to 63 letters, digits, dots, hyphens and underscores, the first a letter or a digit; nil otherwise.
    package init?(_ text: String) {
        guard (1...63).contains(text.utf8.count), let first = text.utf8.first, Self.isAlphanumeric(first),
            text.utf8.allSatisfy({ Self.isAlphanumeric($0) || $0 == 0x2d || $0 == 0x2e || $0 == 0x5f })
        else { return nil }
        self.text = text
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
    }

    /// What the name must be like, for messages.
    package static let rule =
        "1 to 63 letters, digits, dots, hyphens and underscores, the first of them a letter or a digit"
}
