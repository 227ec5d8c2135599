import Crypto
import FoundationEssentials
import SnapshotProtocol

/// The manifest as a file: JSON for people and programs, whose first four lines are the same in every version.
///
///     {
///       "format": "holdfast-snapshot",
///       "version": 1,
///       "sha256": "…",
///       "snapshot": { … }
///     }
///
/// The checksum is the SHA-256 of the whole file, with 64 zeros in its own place, so that every bit is covered:
///
///     sed '4s/[0-9a-f]\{64\}/0000…/' manifest.json | sha256sum
enum ManifestFile {
    static let version = 1
    /// Far above what 4096 members with their parts need in practice; what is larger is not read into memory.
    static let largest = 16 << 20
    /// Deepest nesting of a sound manifest is 7.
    static let deepest = 32

    private static let opening = "{\n  \"format\": \"holdfast-snapshot\",\n  \"version\": "
    private static let beforeDigest = ",\n  \"sha256\": \""
    private static let afterDigest = "\",\n  \"snapshot\": "

    /// Why a file is not a manifest that this program can use.
    enum Flaw: Error, Hashable {
        case version(Int)
        case damaged(String)
    }

    private struct Envelope: Decodable { var snapshot: SnapshotManifest }

    static func encode(_ manifest: SnapshotManifest) throws(StoreError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let body: Data
        do {
            body = try encoder.encode(manifest)
        } catch {
            throw .io(path: EntryName.manifest, why: "The manifest cannot be written as JSON: \(error)")
        }
        let start = Array((opening + String(version) + beforeDigest).utf8)
        var bytes = start
        bytes += Array(repeating: UInt8(ascii: "0"), count: SHA256Hex.length)
        bytes += Array(afterDigest.utf8)
        for byte in body {
            bytes.append(byte)
            // A line break within a string is escaped in JSON, so each of these only lays out.
            if byte == UInt8(ascii: "\n") { bytes += [UInt8(ascii: " "), UInt8(ascii: " ")] }
        }
        bytes += Array("\n}\n".utf8)
        guard bytes.count <= largest else {
            throw .io(path: EntryName.manifest, why: "The manifest would have \(bytes.count) bytes, which is too much")
        }
        let digest = SHA256Hex.of(SHA256.hash(data: bytes))
        bytes.replaceSubrange(start.count..<start.count + SHA256Hex.length, with: Array(digest.utf8))
        return bytes
    }

    static func decode(_ bytes: [UInt8]) throws(Flaw) -> SnapshotManifest {
        var rest = bytes[...]
        guard take(opening, from: &rest) else { throw .damaged("It does not begin as a manifest does.") }
        let digits = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard digits.count <= 9, let found = Int(String(decoding: digits, as: UTF8.self)) else {
            throw .damaged("Its version is not a number.")
        }
        rest = rest[digits.endIndex...]
        guard take(beforeDigest, from: &rest) else { throw .damaged("It has no checksum.") }
        let digest = rest.prefix(SHA256Hex.length)
        var zeroed = bytes
        zeroed.replaceSubrange(
            digest.startIndex..<digest.endIndex, with: Array(repeating: UInt8(ascii: "0"), count: digest.count))
        guard SHA256Hex.of(SHA256.hash(data: zeroed)) == String(decoding: digest, as: UTF8.self) else {
            throw .damaged("Its checksum does not fit: it was changed or cut short.")
        }
        // The checksum comes first: a version that only a flipped bit made is damage.
        guard found == version else { throw .version(found) }
        guard nesting(of: bytes) <= deepest else { throw .damaged("It is nested too deep.") }
        do {
            return try JSONDecoder().decode(Envelope.self, from: Data(bytes)).snapshot
        } catch {
            throw .damaged("It is not the JSON of a manifest: \(error)")
        }
    }

    private static func take(_ text: String, from rest: inout ArraySlice<UInt8>) -> Bool {
        guard rest.starts(with: text.utf8) else { return false }
        rest = rest.dropFirst(text.utf8.count)
        return true
    }

    /// The deepest nesting of brackets outside strings. A parser that recurses must not see thousands of levels.
    private static func nesting(of bytes: [UInt8]) -> Int {
        var depth = 0
        var deepest = 0
        var inString = false
        var escaped = false
        for byte in bytes {
            if inString {
                if escaped {
                    escaped = false
                } else if byte == UInt8(ascii: "\\") {
                    escaped = true
                } else if byte == UInt8(ascii: "\"") {
                    inString = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): inString = true
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                deepest = max(deepest, depth)
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            default: break
            }
        }
        return deepest
    }
}
