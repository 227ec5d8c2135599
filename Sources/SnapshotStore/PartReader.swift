import Crypto
import Glibc
import NIOConcurrencyHelpers
package import SnapshotProtocol

/// Reads one part of a sealed snapshot and hashes it while it passes.
package final class PartReader: Sendable {
    private struct State {
        var hasher = SHA256()
        var offset: UInt64 = 0
        /// Whether the end was reached and the hash was right.
        var verified = false
    }

    package let part: StoredPart
    let file: OpenFile
    private let snapshot: String
    private let member: MemberName?
    private let state = NIOLockedValueBox(State())

    /// Finds the file and compares its size; nothing is read yet.
    init(_ part: StoredPart, of member: MemberName?, snapshot: String, in folder: Folder) throws(StoreError) {
        self.part = part
        self.member = member
        self.snapshot = snapshot
        func damaged(_ why: String) -> StoreError {
            .damaged(snapshot: snapshot, member: member, part: part.path, why: why)
        }
        guard let (place, name) = EntryName.split(part.path) else {
            throw .invalidName(part.path, why: "A part's path is the member's folder, '/' and a file name.")
        }
        let size: UInt64
        do throws(SystemFailure) {
            file = try folder.folder(place).file(name)
            size = try file.size()
        } catch {
            throw PartReader.damage(error).map(damaged) ?? error.storeError
        }
        guard size == part.size else { throw damaged("It has \(size) bytes instead of \(part.size).") }
    }

    /// Hashes a copy of a part.
    init(_ part: StoredPart, hashing copy: OpenFile, snapshot: String) {
        self.part = part
        self.member = nil
        self.snapshot = snapshot
        self.file = copy
    }

    /// Reads the next bytes; 0 is the end, and says that size and hash are right. Only then is what was read to be
    /// trusted. Fails with `damaged` when they are not.
    package func read(into buffer: UnsafeMutableRawBufferPointer) throws(StoreError) -> Int {
        precondition(!buffer.isEmpty, "an empty buffer cannot tell the end")
        return try state.withLockedValue { state -> Result<Int, StoreError> in
            if state.verified { return .success(0) }
            let count: Int
            do throws(SystemFailure) {
                count = try file.read(into: buffer)
            } catch {
                return .failure(PartReader.damage(error).map(damaged) ?? error.storeError)
            }
            state.hasher.update(bufferPointer: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            state.offset += UInt64(count)
            guard count == 0 else { return .success(count) }
            guard state.offset == part.size else {
                return .failure(damaged("It has \(state.offset) bytes instead of \(part.size)."))
            }
            guard SHA256Hex.of(state.hasher.finalize()) == part.sha256 else {
                return .failure(damaged("Its bytes are not those that were stored: the SHA-256 differs."))
            }
            state.verified = true
            return .success(0)
        }.get()
    }

    /// Reads to the end, handing on each piece.
    func drain(_ each: (UnsafeRawBufferPointer) throws(StoreError) -> Void) throws(StoreError) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        while true {
            let count = try read(into: buffer)
            if count == 0 { return }
            try each(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }

    private func damaged(_ why: String) -> StoreError {
        .damaged(snapshot: snapshot, member: member, part: part.path, why: why)
    }

    /// The failures of reading that mean damage of what is read, in words.
    private static func damage(_ failure: SystemFailure) -> String? {
        switch failure.code {
        case ENOENT: "It is missing."
        case EINVAL, ELOOP, ENOTDIR, ENXIO: "There is something else than a file in its place."
        case EIO: "The disk cannot read it."
        default: nil
        }
    }
}
