/// The `--machinereadable` text of VBoxManage: lines of `key=value`.
///
/// Takes whatever comes and never fails. Keys and values may be quoted; inside of quotes newer versions escape quotes and
/// backslashes with a backslash, older ones escape nothing, and none escapes a line break of a description. So a
/// quoted value ends at a quote that is the last of its line, before a line that begins an entry.
package struct MachineReadable: Sendable, Hashable {
    package struct Entry: Sendable, Hashable {
        package var key: String
        package var value: String
    }

    /// In the order of the text.
    package let entries: [Entry]
    private let values: [String: String]

    package init(_ text: String) {
        var lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Array.init)
        for index in lines.indices where lines[index].last == UInt8(ascii: "\r") { lines[index].removeLast() }
        var entries: [Entry] = []
        var next = 0
        while next < lines.count {
            guard let (key, rest) = Self.key(of: lines[next]) else {
                next += 1
                continue
            }
            let (value, used) = Self.value(rest, followedBy: lines[(next + 1)...])
            entries.append(Entry(key: key, value: value))
            next += 1 + used
        }
        self.entries = entries
        // The first one counts: what an owner may write, such as a description, comes after what VirtualBox says itself.
        values = Dictionary(entries.map { ($0.key, $0.value) }) { first, _ in first }
    }

    package subscript(_ key: String) -> String? { values[key] }

    // MARK: Octets

    private static let quote = UInt8(ascii: "\"")
    private static let backslash = UInt8(ascii: "\\")
    private static let equals = UInt8(ascii: "=")

    /// What stands before the equals sign, and the rest behind it; nil for a line that begins no entry.
    private static func key(of line: [UInt8]) -> (key: String, rest: ArraySlice<UInt8>)? {
        if line.first == quote {
            guard let end = closing(line[1...]), end + 1 < line.count, line[end + 1] == equals else { return nil }
            return (unescaped(line[1..<end]), line[(end + 2)...])
        }
        guard let end = line.firstIndex(of: equals), end > 0 else { return nil }
        // A sentence is none.
        guard line[..<end].allSatisfy({ $0 > 0x20 && $0 != quote || $0 >= 0x80 }) else { return nil }
        return (String(decoding: line[..<end], as: UTF8.self), line[(end + 1)...])
    }

    /// The first quote that no backslash escapes.
    private static func closing(_ octets: ArraySlice<UInt8>) -> Int? {
        var index = octets.startIndex
        while index < octets.endIndex {
            if octets[index] == backslash {
                index += 2
            } else if octets[index] == quote {
                return index
            } else {
                index += 1
            }
        }
        return nil
    }

    /// The value that begins here, and how many of the following lines belong to it.
    private static func value(
        _ rest: ArraySlice<UInt8>, followedBy lines: ArraySlice<[UInt8]>
    ) -> (value: String, used: Int) {
        guard rest.first == quote else { return (String(decoding: rest, as: UTF8.self), 0) }
        var whole = Array(rest.dropFirst())
        if ends(whole, before: lines) { return (unescaped(whole.dropLast()), 0) }
        // Some entries carry more behind the quote, as `BandwidthGroup0="name",Disk,0` does.
        if let end = closing(whole[...]), end + 1 < whole.count, whole[end + 1] != quote, isNextEntry(lines) {
            return (unescaped(whole[..<end]), 0)
        }
        let first = whole
        for (used, index) in zip(1..., lines.indices) {
            whole += [UInt8(ascii: "\n")] + lines[index]
            if ends(whole, before: lines[index...].dropFirst()) { return (unescaped(whole.dropLast()), used) }
        }
        // Never closed: the text is cut off or broken here, and what follows is read as if it were not.
        return (unescaped(first.last == quote ? first.dropLast() : first[...]), 0)
    }

    private static func ends(_ value: [UInt8], before lines: ArraySlice<[UInt8]>) -> Bool {
        guard value.last == quote, isNextEntry(lines) else { return false }
        let slashes = value.dropLast().reversed().prefix { $0 == backslash }.count
        return slashes.isMultiple(of: 2)
    }

    /// Whether an entry comes next, or nothing at all.
    private static func isNextEntry(_ lines: ArraySlice<[UInt8]>) -> Bool {
        guard let line = lines.first(where: { !$0.isEmpty }) else { return true }
        return key(of: line) != nil
    }

    private static func unescaped(_ octets: ArraySlice<UInt8>) -> String {
        var result: [UInt8] = []
        var index = octets.startIndex
        while index < octets.endIndex {
            let isEscape =
                octets[index] == backslash && index + 1 < octets.endIndex
                && (octets[index + 1] == quote || octets[index + 1] == backslash)
            if isEscape { index += 1 }
            result.append(octets[index])
            index += 1
        }
        return String(decoding: result, as: UTF8.self)
    }
}
