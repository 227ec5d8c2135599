import Crypto
import Glibc
import SnapshotProtocol

/// A part that has no name yet: where its bytes gather and what it will be called.
struct PendingPart: Sendable {
    let snapshot: String
    let member: MemberName
    /// The member's folder.
    let folder: Folder
    let temporary: String
    let file: String
    let kind: String

    /// Of a writer that is used after its end.
    var ended: StoreError { .io(path: folder.path(of: file), why: "The part was finished or cancelled before") }

    /// Names the synced temporary, and makes that name safe.
    func publish() throws(StoreError) {
        do throws(SystemFailure) {
            try folder.publish(temporary, as: file)
            try folder.sync()
        } catch {
            switch error.code {
            case EEXIST: throw .alreadyExists("\(file) of \(member) in snapshot \(snapshot)")
            // The epoch was given up meanwhile and its folder removed.
            case ENOENT: throw .notFound(snapshot: snapshot)
            default: throw error.storeError
            }
        }
    }

    func stored(size: UInt64, digest: SHA256.Digest) -> StoredPart {
        // The folder's own name is its last path component by construction.
        let place = folder.path.split(separator: "/").last.map(String.init) ?? ""
        return StoredPart(kind: kind, path: "\(place)/\(file)", size: size, sha256: SHA256Hex.of(digest))
    }

    /// Removes the temporary, if it is there.
    func remove() {
        // What cannot be removed is collected with its snapshot, or swept when it is sealed.
        try? folder.removeFile(temporary)
    }
}
