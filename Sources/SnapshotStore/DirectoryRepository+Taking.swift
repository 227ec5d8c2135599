import Crypto
import Glibc
package import SnapshotProtocol

/// Taking a snapshot: from its folder to its seal, or to its end.
extension DirectoryRepository {
    /// Makes the folder of an unsealed snapshot. Of several at once for the same name one succeeds.
    ///
    /// - Throws: `invalidName`, `alreadyExists` (sealed or not), `notWritable`, `noSpace`, `io`.
    package func begin(_ snapshot: String) throws(StoreError) {
        try EntryName.checkSnapshot(snapshot)
        let staging = try room(.staging)
        do throws(SystemFailure) {
            try staging.makeFolder(snapshot)
        } catch {
            guard error.code == EEXIST else { throw error.storeError }
            throw .alreadyExists("An unfinished snapshot \(snapshot)")
        }
        // Looked for afterwards: a seal that comes between would not be seen before.
        guard try folder(of: snapshot, in: .snapshots) == nil else {
            try? staging.removeEmptyFolder(snapshot)
            throw .alreadyExists("Snapshot \(snapshot)")
        }
        try StoreError.translating { () throws(SystemFailure) in try staging.sync() }
    }

    /// Starts a part of an unsealed snapshot.
    ///
    /// - Throws: `invalidName`; `notFound` when the snapshot was not begun, or is over; `notWritable`, `noSpace`, `io`.
    package func partWriter(
        snapshot: String, member: MemberName, file: String, kind: String
    ) throws(StoreError) -> PartWriter {
        try PartWriter(pending(snapshot: snapshot, member: member, file: file, kind: kind))
    }

    /// A name under which another program writes a part of an unsealed snapshot; `adopt` takes it over afterwards.
    /// Fails as `partWriter` does.
    package func temporary(
        snapshot: String, member: MemberName, file: String, kind: String
    ) throws(StoreError) -> TemporaryPart {
        try TemporaryPart(pending(snapshot: snapshot, member: member, file: file, kind: kind))
    }

    /// Hashes what the other program wrote, makes it safe and gives it its name. The program must be done. When this
    /// throws, nothing of the part is left.
    ///
    /// - Throws: `alreadyExists`; `notFound` when the snapshot is over; `io`, also when there is no such file.
    package func adopt(_ temporary: TemporaryPart) throws(StoreError) -> StoredPart {
        let part = temporary.part
        var done = false
        defer { if !done { part.remove() } }
        let stored = try StoreError.translating { () throws(SystemFailure) -> StoredPart in
            let file = try part.folder.file(part.temporary)
            // The program chose the mode; a memory image is nobody else's business.
            guard fchmod(file.descriptor, 0o660) == 0 || errno == EPERM || errno == ENOTSUP else {
                throw SystemFailure(temporary.path, writing: true)
            }
            try file.sync()
            var hasher = SHA256()
            var size: UInt64 = 0
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
            defer { buffer.deallocate() }
            while true {
                let count = try file.read(into: buffer)
                if count == 0 { break }
                hasher.update(bufferPointer: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                size += UInt64(count)
            }
            return part.stored(size: size, digest: hasher.finalize())
        }
        try part.publish()
        done = true
        return stored
    }

    /// Seals a snapshot: from here on, and only from here on, it exists. A second time with the same manifest does
    /// nothing, for a manager that died before it knew.
    ///
    /// - Throws: `inconsistent` when the evidence does not bear the snapshot out, or something that a restore needs was
    ///   not stored; `damaged` when a named part is not there with its size or the manifest is malformed; `notFound`
    ///   when it was not begun or is discarded; `alreadyExists` when another one of that name is sealed;
    ///   `invalidName`, `notWritable`, `noSpace`, `io`. Whenever it throws, the snapshot is not sealed.
    package func seal(_ manifest: SnapshotManifest) throws(StoreError) {
        let id = manifest.id
        try EntryName.checkSnapshot(id)
        if let flaw = manifest.flaw {
            throw .damaged(snapshot: id, member: flaw.member, part: EntryName.manifest, why: flaw.why)
        }
        try checkEvidence(manifest)
        let bytes = try ManifestFile.encode(manifest)
        guard let folder = try folder(of: id, in: .staging) else {
            guard try self.folder(of: id, in: .snapshots) != nil else { throw .notFound(snapshot: id) }
            guard try self.manifest(id) == manifest else { throw .alreadyExists("Another snapshot \(id)") }
            return
        }
        try sweep(folder, of: manifest)
        let staging = try room(.staging)
        let snapshots = try room(.snapshots)
        do throws(SystemFailure) {
            try Self.replace(EntryName.manifest, with: bytes, in: folder)
            try staging.move(id, to: snapshots, as: id)
        } catch {
            switch error.code {
            case ENOENT: throw .notFound(snapshot: id)
            case EEXIST, ENOTEMPTY: throw .alreadyExists("Another snapshot \(id)")
            default: throw error.storeError
            }
        }
        do throws(SystemFailure) {
            try snapshots.sync()
            try staging.sync()
        } catch {
            // Whether it would survive a loss of power is not known, so it must not be taken for sealed.
            try? snapshots.move(id, to: staging, as: id)
            throw error.storeError
        }
    }

    /// Gives an unsealed snapshot up and removes it. A sealed one is not touched.
    ///
    /// - Returns: Whether there was one. What cannot be removed at once is no snapshot any more, and is collected.
    /// - Throws: `invalidName`, `notWritable`, `io`.
    @discardableResult
    package func discard(_ snapshot: String) throws(StoreError) -> Bool {
        try EntryName.checkSnapshot(snapshot)
        return try throwAway(snapshot, from: .staging)
    }

    /// Moves a folder out of everybody's sight by one rename, then removes it.
    func throwAway(_ name: String, from room: Room) throws(StoreError) -> Bool {
        let source = try self.room(room)
        let trash = try self.room(.trash)
        let temporary = EntryName.temporary(for: name)
        do throws(SystemFailure) {
            try source.move(name, to: trash, as: temporary)
            try source.sync()
        } catch {
            guard error.code == ENOENT else { throw error.storeError }
            return false
        }
        // A program that still writes into it, or a bad disk, can keep it from going: `collect` tries again.
        try? trash.removeTree(temporary)
        return true
    }

    private func pending(
        snapshot: String, member: MemberName, file: String, kind: String
    ) throws(StoreError) -> PendingPart {
        try EntryName.checkFile(file)
        let name = try EntryName.folder(of: member)
        guard let parent = try folder(of: snapshot, in: .staging) else { throw .notFound(snapshot: snapshot) }
        do throws(SystemFailure) {
            do throws(SystemFailure) {
                try parent.makeFolder(name)
                try parent.sync()
            } catch {
                guard error.code == EEXIST else { throw error }
            }
            return PendingPart(
                snapshot: snapshot, member: member, folder: try parent.folder(name),
                temporary: EntryName.temporary(for: file), file: file, kind: kind)
        } catch {
            guard error.code == ENOENT else { throw error.storeError }
            throw .notFound(snapshot: snapshot)
        }
    }

    private func checkEvidence(_ manifest: SnapshotManifest) throws(StoreError) {
        let verdict = Verdict.judge(manifest.members, mode: manifest.mode)
        var reasons = verdict.consistent ? [] : verdict.reasons
        if verdict != manifest.verdict { reasons.append("The verdict is not what the evidence says.") }
        if SnapshotManifest.skew(of: manifest.members) != manifest.skew {
            reasons.append("The skew is not what the evidence says.")
        }
        reasons += manifest.missingKinds().map { "Nothing of the kind \($0.kind) was stored of \($0.member)." }
        guard reasons.isEmpty else { throw .inconsistent(snapshot: manifest.id, reasons: reasons) }
    }

    /// Finds every part that the manifest names, and removes what writers that died left beside them.
    private func sweep(_ folder: Folder, of manifest: SnapshotManifest) throws(StoreError) {
        for member in manifest.members {
            for part in member.stored.parts {
                _ = try PartReader(part, of: member.member.name, snapshot: manifest.id, in: folder)
            }
        }
        try StoreError.translating { () throws(SystemFailure) in
            for name in try folder.entries() {
                if EntryName.isTemporary(name) {
                    try folder.removeTree(name)
                    continue
                }
                guard name != EntryName.manifest else { continue }
                let inner: Folder
                do throws(SystemFailure) {
                    inner = try folder.folder(name)
                } catch {
                    guard error.code == ENOTDIR || error.code == ELOOP else { throw error }
                    continue
                }
                for entry in try inner.entries() where EntryName.isTemporary(entry) { try inner.removeTree(entry) }
                // Each part was synced with its name; this is for what was removed.
                try inner.sync()
            }
            try folder.sync()
        }
    }
}
