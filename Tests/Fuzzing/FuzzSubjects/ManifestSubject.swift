import Crypto
import SnapshotProtocol

@testable import SnapshotStore

/// The bytes are the value of `snapshot`: a fuzzer does not find a checksum. They are also tried as a whole file.
enum ManifestSubject {
    static func run(_ bytes: [UInt8]) throws {
        try file(bytes)
        try file(sealed(bytes))
    }

    static func sealed(_ body: [UInt8]) -> [UInt8] {
        let start = Array("{\n  \"format\": \"holdfast-snapshot\",\n  \"version\": 1,\n  \"sha256\": \"".utf8)
        let end = Array("\",\n  \"snapshot\": ".utf8)
        let zeros = [UInt8](repeating: UInt8(ascii: "0"), count: SHA256Hex.length)
        let digest = SHA256Hex.of(SHA256.hash(data: start + zeros + end + body + [UInt8(ascii: "}")]))
        return start + Array(digest.utf8) + end + body + [UInt8(ascii: "}")]
    }

    private static func file(_ bytes: [UInt8]) throws {
        guard let manifest = try? ManifestFile.decode(bytes) else { return }
        _ = manifest.size
        _ = manifest.missingKinds()
        _ = SnapshotManifest.skew(of: manifest.members)
        _ = Verdict.judge(manifest.members, mode: manifest.mode)
        if manifest.flaw == nil { try paths(of: manifest) }
        let again = try ManifestFile.decode(ManifestFile.encode(manifest))
        try Broken.unless(again == manifest, "It is written otherwise than read.")
    }

    private static func paths(of manifest: SnapshotManifest) throws {
        for part in manifest.members.flatMap(\.stored.parts) {
            let pieces = part.path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            try Broken.unless(
                pieces.count == 2 && pieces.allSatisfy { !$0.isEmpty && !$0.starts(with: ".".utf8) }
                    && !part.path.utf8.contains(0),
                "\(part.path) leads out of the snapshot.")
        }
    }
}
