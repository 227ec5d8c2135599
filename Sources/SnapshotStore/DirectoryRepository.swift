import FoundationEssentials
import Glibc

/// A repository in a directory of any mounted file system, shared by the manager, which writes manifests, and the
/// agents, which write parts.
///
///     holdfast-repository.json          what the directory is, and in which version
///     staging/ID/MEMBER/FILE            unsealed: exists for nobody
///     snapshots/ID/manifest.json        sealed
///     snapshots/ID/MEMBER/FILE
///     trash/ID.random/                  deleted or given up, on its way out
///
/// Each of the three steps in a snapshot's life, sealing, discarding and deleting it, is the renaming of one folder,
/// so that of any two that happen at once one wins, and a crash leaves either all of it or nothing. Every call is
/// synchronous, may block for as long as the file system does, and may come from any thread or process.
package struct DirectoryRepository: Sendable {
    static let version = 1
    static let marker = "holdfast-repository.json"

    enum Room: String, CaseIterable {
        case staging
        case snapshots
        case trash
    }

    private struct Marker: Decodable {
        static let format = "holdfast-repository"

        var format: String
        var version: Int
    }

    /// The directory, as it was given.
    package let path: String

    /// Makes a repository, with the directories above it. Does nothing where there is one already.
    ///
    /// - Throws: `notARepository` for a directory with something else in it, `repositoryVersion`, `notWritable`,
    ///   `noSpace`, `io`.
    package static func create(at path: String) throws(StoreError) {
        try StoreError.translating { () throws(SystemFailure) in try makeFolders(path) }
        let root = try openRoot(path)
        if try StoreError.translating({ () throws(SystemFailure) in try root.contains(marker) }) {
            _ = try DirectoryRepository(opening: path)
            return
        }
        // What an earlier attempt left that was cut short, and what a new file system brings along, may be there.
        let foreign = try StoreError.translating { () throws(SystemFailure) -> String? in
            for entry in try root.entries() where entry != "lost+found" && !entry.hasPrefix("." + marker) {
                guard Room(rawValue: entry) != nil, try root.folder(entry).entries().isEmpty else { return entry }
            }
            return nil
        }
        if let foreign {
            throw .notARepository(
                path: path, why: "It holds something else, \(foreign.debugDescription). Give an empty directory.")
        }
        try StoreError.translating { () throws(SystemFailure) in
            for room in Room.allCases {
                do throws(SystemFailure) {
                    try root.makeFolder(room.rawValue)
                } catch {
                    guard error.code == EEXIST else { throw error }
                }
            }
            // The marker comes last: a directory with it has everything else.
            let text = "{\"format\": \"\(Marker.format)\", \"version\": \(version)}\n"
            try replace(marker, with: Array(text.utf8), in: root)
        }
    }

    /// Opens a repository.
    ///
    /// - Parameter requireWritable: Also write, sync and remove a small file. Permission bits do not tell: root passes
    ///   every check of them, and a read-only mount or a quota is not among them.
    /// - Throws: `notARepository`, `repositoryVersion`, `notWritable`, `noSpace`, `io`.
    package init(opening path: String, requireWritable: Bool = true) throws(StoreError) {
        self.path = path
        let root = try Self.openRoot(path)
        let bytes: [UInt8]?
        do throws(SystemFailure) {
            bytes = try Self.read(Self.marker, in: root, limit: 4096)
        } catch {
            guard error.code == ENOENT else { throw error.storeError }
            throw .notARepository(path: path, why: "It has no \(Self.marker).")
        }
        guard let bytes, let marker = try? JSONDecoder().decode(Marker.self, from: Data(bytes)),
            marker.format == Marker.format
        else { throw .notARepository(path: path, why: "Its \(Self.marker) is damaged.") }
        guard marker.version == Self.version else {
            throw .repositoryVersion(path: path, found: marker.version, supported: Self.version)
        }
        for room in Room.allCases { _ = try self.room(room) }
        if requireWritable { try probe() }
    }

    /// Bytes that may still be written by whoever is not the superuser, as the file system tells.
    package func freeSpace() throws(StoreError) -> UInt64 {
        let root = try Self.openRoot(path)
        var status = statvfs()
        guard fstatvfs(root.descriptor, &status) == 0 else { throw SystemFailure(path, writing: false).storeError }
        let (bytes, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        return overflow ? .max : bytes
    }

    // MARK: - Folders

    /// The folder with all of one kind.
    func room(_ room: Room) throws(StoreError) -> Folder {
        let root = try Self.openRoot(path)
        do throws(SystemFailure) {
            return try root.folder(room.rawValue)
        } catch {
            guard error.code == ENOENT || error.code == ENOTDIR else { throw error.storeError }
            throw .notARepository(path: path, why: "It has no folder \(room.rawValue).")
        }
    }

    /// The folder of a snapshot in one of the rooms, or nil when it is not there.
    func folder(of snapshot: String, in room: Room) throws(StoreError) -> Folder? {
        try EntryName.checkSnapshot(snapshot)
        let parent = try self.room(room)
        do throws(SystemFailure) {
            return try parent.folder(snapshot)
        } catch {
            switch error.code {
            case ENOENT, ENOTDIR, ELOOP: return nil
            default: throw error.storeError
            }
        }
    }

    private static func openRoot(_ path: String) throws(StoreError) -> Folder {
        do throws(SystemFailure) {
            return try Folder(at: path)
        } catch {
            switch error.code {
            case ENOENT: throw .notARepository(path: path, why: "There is no such directory.")
            case ENOTDIR: throw .notARepository(path: path, why: "It is no directory.")
            default: throw error.storeError
            }
        }
    }

    private static func makeFolders(_ path: String) throws(SystemFailure) {
        var parent = path.hasPrefix("/") ? "/" : "."
        for piece in path.split(separator: "/") {
            let folder = parent + "/" + piece
            if mkdir(folder, 0o770) == 0 {
                // A sealed snapshot must not go with a name that was never written down.
                try Folder(at: parent).sync()
            } else if errno != EEXIST {
                // On a read-only file system this is said of folders that are there, too.
                let failure = SystemFailure(folder, writing: true)
                guard access(folder, F_OK) == 0 else { throw failure }
            }
            parent = folder
        }
    }

    private func probe() throws(StoreError) {
        let staging = try room(.staging)
        let name = EntryName.temporary(for: "probe")
        do throws(SystemFailure) {
            let file = try staging.makeFile(name)
            try file.write(Array(Self.marker.utf8))
            try file.sync()
        } catch {
            try? staging.removeFile(name)
            throw error.storeError
        }
        // Somebody who collects at this moment may have been faster.
        try? staging.removeFile(name)
    }

    // MARK: - Small files

    /// A whole file, or nil when it is larger than `limit` bytes.
    static func read(_ name: String, in folder: Folder, limit: Int) throws(SystemFailure) -> [UInt8]? {
        let file = try folder.file(name)
        guard try file.size() <= UInt64(limit) else { return nil }
        var bytes: [UInt8] = []
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
        defer { piece.deallocate() }
        while true {
            let count = try file.read(into: piece)
            if count == 0 { return bytes }
            bytes += piece[..<count]
            guard bytes.count <= limit else { return nil }
        }
    }

    /// Writes a file so that under its name there is all of it or what was there before, also after a loss of power.
    static func replace(_ name: String, with bytes: [UInt8], in folder: Folder) throws(SystemFailure) {
        let temporary = EntryName.temporary(for: name)
        let file = try folder.makeFile(temporary)
        do throws(SystemFailure) {
            try file.write(bytes)
            try file.sync()
            try folder.move(temporary, to: folder, as: name)
            try folder.sync()
        } catch {
            try? folder.removeFile(temporary)
            throw error
        }
    }
}
