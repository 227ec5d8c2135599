import Glibc
import SnapshotProtocol

/// What becomes of sealed snapshots, and of what is left of others.
extension DirectoryRepository {
    /// The manifest of a sealed snapshot: its checksum fits, it is of this version, and its paths, names and sizes can
    /// be used without further thought. Whether the parts are whole is for `verify` or for reading them.
    ///
    /// - Throws: `invalidName`, `notFound`, `damaged`, `manifestVersion`, `io`.
    package func manifest(_ snapshot: String) throws(StoreError) -> SnapshotManifest {
        guard let folder = try folder(of: snapshot, in: .snapshots) else { throw .notFound(snapshot: snapshot) }
        func damaged(_ why: String, member: MemberName? = nil) -> StoreError {
            .damaged(snapshot: snapshot, member: member, part: EntryName.manifest, why: why)
        }
        let bytes: [UInt8]?
        do throws(SystemFailure) {
            bytes = try Self.read(EntryName.manifest, in: folder, limit: ManifestFile.largest)
        } catch {
            switch error.code {
            case ENOENT: throw .notFound(snapshot: snapshot)
            case EINVAL, ELOOP, ENXIO: throw damaged("There is something else than a file in its place.")
            case EIO: throw damaged("The disk cannot read it.")
            default: throw error.storeError
            }
        }
        guard let bytes else { throw damaged("It has more than \(ManifestFile.largest) bytes.") }
        let manifest: SnapshotManifest
        do throws(ManifestFile.Flaw) {
            manifest = try ManifestFile.decode(bytes)
        } catch {
            switch error {
            case .version(let found):
                throw .manifestVersion(snapshot: snapshot, found: found, supported: ManifestFile.version)
            case .damaged(let why): throw damaged(why)
            }
        }
        guard manifest.id == snapshot else { throw damaged("It is the manifest of another snapshot.") }
        if let flaw = manifest.flaw { throw damaged(flaw.why, member: flaw.member) }
        return manifest
    }

    /// Every sealed snapshot, oldest first; those whose manifest cannot be read come last, each with the reason.
    ///
    /// - Throws: `notARepository`, `io`.
    package func list() throws(StoreError) -> [SnapshotListing] {
        let snapshots = try room(.snapshots)
        let names = try StoreError.translating { () throws(SystemFailure) in try snapshots.entries() }
        var listings: [SnapshotListing] = []
        for name in names {
            do throws(StoreError) {
                listings.append(SnapshotListing(id: name, manifest: .success(try manifest(name))))
            } catch {
                switch error {
                // Deleted since, no snapshot without a manifest, or nothing of ours.
                case .notFound, .invalidName: continue
                default: listings.append(SnapshotListing(id: name, manifest: .failure(error)))
                }
            }
        }
        func order(_ listing: SnapshotListing) -> (UInt64, String) {
            ((try? listing.manifest.get().createdAt) ?? .max, listing.id)
        }
        return listings.sorted { order($0) < order($1) }
    }

    /// Deletes a sealed snapshot, also one with a damaged manifest. It goes at once and whole; when its files cannot
    /// be removed, `collect` tries again.
    ///
    /// - Throws: `invalidName`, `notFound`, `notWritable`, `io`.
    package func delete(_ snapshot: String) throws(StoreError) {
        guard let folder = try folder(of: snapshot, in: .snapshots),
            try StoreError.translating({ () throws(SystemFailure) in try folder.contains(EntryName.manifest) }),
            try throwAway(snapshot, from: .snapshots)
        else { throw .notFound(snapshot: snapshot) }
    }

    /// Removes what unsealed snapshots, cut-short deletions and died writers left.
    ///
    /// - Parameter active: Snapshots that are being taken now. Whoever begins snapshots must call this, or keep others
    ///   from beginning meanwhile.
    /// - Returns: The names of the unsealed snapshots that were removed, sorted.
    /// - Throws: `notARepository`, `notWritable`, `io`.
    package func collect(keeping active: Set<String>) throws(StoreError) -> [String] {
        var removed: [String] = []
        let staging = try room(.staging)
        let trash = try room(.trash)
        for name in try StoreError.translating({ () throws(SystemFailure) in try staging.entries() })
        where !active.contains(name) {
            if EntryName.isTemporary(name) {
                try StoreError.translating { () throws(SystemFailure) in try staging.removeTree(name) }
            } else if try throwAway(name, from: .staging) {
                removed.append(name)
            }
        }
        // No step of ours leaves a folder here without its manifest, but a snapshot without one does not exist, and only
        // here can its space and its name be had back.
        let snapshots = try room(.snapshots)
        for name in try StoreError.translating({ () throws(SystemFailure) in try snapshots.entries() })
        where !active.contains(name) && !EntryName.isTemporary(name) {
            guard let folder = try? folder(of: name, in: .snapshots),
                try StoreError.translating({ () throws(SystemFailure) in try !folder.contains(EntryName.manifest) })
            else { continue }
            if try throwAway(name, from: .snapshots) { removed.append(name) }
        }
        // In the other order, what could not be thrown away just now would be tried twice in a row.
        for name in try StoreError.translating({ () throws(SystemFailure) in try trash.entries() }) {
            try StoreError.translating { () throws(SystemFailure) in try trash.removeTree(name) }
        }
        return removed.sorted()
    }
}
