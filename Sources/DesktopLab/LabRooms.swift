import Foundation

/// File systems of their own for what the products write, in memory and so small that they can be filled.
package struct LabRooms: Hashable, Sendable, Codable {
    /// MiB for the overlays of epochs, on each desktop.
    package var workspace: Int
    /// MiB for the disks of restored machines, on each desktop.
    package var restored: Int
    /// MiB for the repository.
    package var repository: Int

    package init(workspace: Int = 256, restored: Int = 512, repository: Int = 1536) {
        self.workspace = workspace
        self.restored = restored
        self.repository = repository
    }

    /// Path and size of each.
    static func all(of configuration: LabConfiguration) -> [(path: String, size: Int)] {
        guard let rooms = configuration.rooms else { return [] }
        let folders = LabFolders(root: configuration.directory)
        return [(folders.repository, rooms.repository)]
            + (1...configuration.desktops).flatMap {
                [(folders.workspace($0), rooms.workspace), (folders.restored($0), rooms.restored)]
            }
    }

    static func mount(for configuration: LabConfiguration) async throws {
        for room in all(of: configuration) {
            try FileManager.default.createDirectory(atPath: room.path, withIntermediateDirectories: true)
            try await Command.require(["mount", "-t", "tmpfs", "-o", "size=\(room.size)m", "holdfast-lab", room.path])
        }
    }

    /// Whatever is mounted below the lab's folder is the lab's.
    static func unmount(below directory: String) async throws {
        let mounts = try String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)
        for line in mounts.split(separator: "\n").reversed() {
            let words = line.split(separator: " ")
            guard words.count > 1, words[1].hasPrefix("\(directory)/") else { continue }
            try await Command.require(["umount", String(words[1])])
        }
    }
}

/// A file system of the lab that can be filled to the last page at once, and given its room back.
package struct SmallRoom: Sendable {
    package let path: String
    /// MiB.
    package let size: Int

    package init(path: String, size: Int) {
        self.path = path
        self.size = size
    }

    /// Leaves room for nothing: the limit becomes what is in use. At once, whereas to write a file that takes up the
    /// rest would take longer than most phases last.
    package func fill() throws {
        for _ in 0..<50 {
            var status = statvfs()
            guard statvfs(path, &status) == 0 else { throw failure }
            // Whoever writes just now may need a little more than was counted.
            let used = UInt64(status.f_blocks - status.f_bfree) * UInt64(status.f_frsize) + 16_384
            if mount(nil, path, nil, UInt(MS_REMOUNT), "size=\(used)") == 0 { return }
        }
        throw failure
    }

    package func empty() throws {
        guard mount(nil, path, nil, UInt(MS_REMOUNT), "size=\(size)m") == 0 else { throw failure }
    }

    private var failure: LabError {
        .commandFailed("a new limit for \(path)", status: String(cString: strerror(errno)), detail: "")
    }
}
