import FoundationEssentials

/// Tells a monitor that another program holds from one that does not answer.
enum MonitorHolder {
    /// Whether the process that listens at `path` has taken a client there.
    static func isHeld(_ path: String, server: Int32?) -> Bool {
        // Sockets are listed by network namespace: the server's.
        let table = server.map { "/proc/\($0)/net/unix" } ?? "/proc/net/unix"
        guard let data = FileManager.default.contents(atPath: table) else { return false }
        return isHeld(path, in: String(decoding: data, as: UTF8.self))
    }

    /// By the kernel's list: the state of one that the server has taken is 03; one that still waits is 02.
    static func isHeld(_ path: String, in table: String) -> Bool {
        table.split(separator: "\n").contains { line in
            let fields = line.split(separator: " ", maxSplits: 7, omittingEmptySubsequences: true)
            guard fields.count == 8, fields[5] == "03" else { return false }
            // As QEMU was told, which may have been relative to its folder.
            return fields[7] == path[...] || !fields[7].hasPrefix("/") && path.hasSuffix("/\(fields[7])")
        }
    }
}
