import SnapshotProtocol

/// The names that become names of files and folders. They come from people, from the network and from manifests, so
/// none of them is believed: what passes here cannot leave the folder that it is put in.
enum EntryName {
    static let manifest = "manifest.json"

    /// Most bytes in the name of a snapshot or a file: with the additions of a temporary name it stays below the 255
    /// of common file systems.
    static let longest = 128
    /// Most bytes in the name of a member: each may become three in its folder's name.
    static let longestMember = 60

    static func checkSnapshot(_ name: String) throws(StoreError) { try checkPlain(name) }

    static func checkFile(_ name: String) throws(StoreError) { try checkPlain(name) }

    /// The folder of a member: its name, with every byte outside `A-Z a-z 0-9 . _ -` as `%` and two hexadecimal
    /// digits, since the names of VMs may hold spaces, slashes and letters of all scripts.
    static func folder(of member: MemberName) throws(StoreError) -> String {
        let name = member.rawValue
        guard (1...longestMember).contains(name.utf8.count) else {
            throw .invalidName(
                String(name.prefix(longest)), why: "A member's name has 1 to \(longestMember) bytes. Rename the VM.")
        }
        // Control characters are refused for the sake of those who read lists on a terminal.
        for scalar in name.unicodeScalars where scalar.properties.generalCategory == .control {
            throw .invalidName(name, why: "It holds a control character. Rename the VM.")
        }
        var folder = ""
        for (index, byte) in name.utf8.enumerated() {
            if isPlain(byte), !(index == 0 && byte == UInt8(ascii: ".")) {
                folder.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                folder += digits.count == 1 ? "%0" + digits : "%" + digits
            }
        }
        // Some file systems do not tell case apart.
        guard folder.lowercased() != manifest else {
            throw .invalidName(name, why: "The repository uses it for the manifest. Rename the VM.")
        }
        return folder
    }

    /// Splits a part's path into its folder and its file, or nil when it could lead anywhere else.
    static func split(_ path: String) -> (folder: String, file: String)? {
        guard path.utf8.count <= 2 * 255 else { return nil }
        let pieces = path.split(separator: "/", omittingEmptySubsequences: false)
        guard pieces.count == 2, let first = pieces[0].utf8.first, first != UInt8(ascii: "."),
            pieces[0].utf8.count <= 3 * longestMember,
            pieces[0].utf8.allSatisfy({ isPlain($0) || $0 == UInt8(ascii: "%") })
        else { return nil }
        let file = String(pieces[1])
        guard (try? checkFile(file)) != nil else { return nil }
        return (String(pieces[0]), file)
    }

    /// A name that no snapshot, member or file can have, and that nobody else uses.
    static func temporary(for name: String) -> String {
        ".\(name).\(String(UInt64.random(in: .min ... .max), radix: 16))"
    }

    static func isTemporary(_ name: String) -> Bool { name.utf8.first == UInt8(ascii: ".") }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    private static func checkPlain(_ name: String) throws(StoreError) {
        guard (1...longest).contains(name.utf8.count) else {
            throw .invalidName(String(name.prefix(longest)), why: "It must have 1 to \(longest) characters.")
        }
        guard name.utf8.allSatisfy(isPlain), name.utf8.first != UInt8(ascii: ".") else {
            throw .invalidName(
                name, why: "Use letters of the Latin alphabet, digits, '.', '_' and '-', and do not begin with '.'.")
        }
    }
}
