import Glibc
package import SnapshotProtocol

/// Reading the parts of sealed snapshots. Those of unsealed ones cannot be read: they do not exist.
extension DirectoryRepository {
    /// Where a part of a sealed snapshot is, for a program that reads it by itself. Nothing is verified but that there
    /// is a file of the right size, within the snapshot.
    ///
    /// - Throws: `invalidName`, `notFound`, `damaged`, `io`.
    package func path(of part: StoredPart, in snapshot: String) throws(StoreError) -> String {
        try reader(of: part, in: snapshot).file.path
    }

    /// A reader that verifies while it reads.
    ///
    /// - Throws: `invalidName`, `notFound`, `damaged` (missing or of another size), `io`.
    package func reader(of part: StoredPart, in snapshot: String) throws(StoreError) -> PartReader {
        guard let folder = try folder(of: snapshot, in: .snapshots),
            try StoreError.translating({ () throws(SystemFailure) in try folder.contains(EntryName.manifest) })
        else { throw .notFound(snapshot: snapshot) }
        return try PartReader(part, of: nil, snapshot: snapshot, in: folder)
    }

    /// Copies a part to a file elsewhere and verifies what was copied. Under `path` there is all of it, safe and
    /// verified, or what was there before. Blocks of zeros become holes; on a file system that can share blocks, and
    /// that the repository lies on too, nothing is copied but read once.
    ///
    /// - Throws: `invalidName`, `notFound`, `damaged`; `notWritable`, `noSpace`, `io` for the target.
    package func copy(_ part: StoredPart, of snapshot: String, to path: String) throws(StoreError) {
        let source = try reader(of: part, in: snapshot)
        let slash = path.lastIndex(of: "/")
        let name = String(slash.map { path[path.index(after: $0)...] } ?? path[...])
        let parent = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        guard !name.isEmpty, name != ".", name != ".." else {
            throw .invalidName(path, why: "It names no file to copy to.")
        }
        let temporary = EntryName.temporary(for: String(name.prefix(32)))
        let target = try StoreError.translating { () throws(SystemFailure) in try Folder(at: parent) }
        let file = try StoreError.translating { () throws(SystemFailure) in try target.makeFile(temporary) }
        var done = false
        defer { if !done { try? target.removeFile(temporary) } }
        if file.clone(from: source.file) {
            // What is hashed is the clone: the original may change after it.
            try PartReader(part, hashing: file, snapshot: snapshot).drain { _ throws(StoreError) in }
        } else {
            try Self.copySparsely(source, to: file)
        }
        try StoreError.translating { () throws(SystemFailure) in
            try file.sync()
            try target.move(temporary, to: target, as: name)
            try target.sync()
        }
        done = true
    }

    private static func copySparsely(_ source: PartReader, to file: OpenFile) throws(StoreError) {
        let block = 1 << 16
        var offset: UInt64 = 0
        try source.drain { piece throws(StoreError) in
            try StoreError.translating { () throws(SystemFailure) in
                var start = 0
                while start < piece.count {
                    let bytes = UnsafeRawBufferPointer(rebasing: piece[start..<min(start + block, piece.count)])
                    if isZero(bytes) {
                        try file.seek(to: offset + UInt64(start + bytes.count))
                    } else {
                        try file.write(bytes)
                    }
                    start += bytes.count
                }
            }
            offset += UInt64(piece.count)
        }
        // A hole at the end has to be made, too.
        try StoreError.translating { () throws(SystemFailure) in try file.truncate(to: offset) }
    }

    private static func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress, bytes[0] == 0 else { return bytes.isEmpty }
        // Each byte equals the one before it, and the first is zero.
        return memcmp(base, base + 1, bytes.count - 1) == 0
    }
}
