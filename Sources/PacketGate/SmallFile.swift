import Glibc

/// Whole small files: those of `/proc`, and the gate's own memory of what it changed.
enum SmallFile {
    /// Nil when the file cannot be read.
    static func read(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 14)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { return String(decoding: content, as: UTF8.self) }
            content.append(contentsOf: buffer.prefix(count))
        }
    }

    /// Replaces the file as a whole: it is written under another name, synchronised and renamed.
    static func replace(_ path: String, with content: String) throws(GateError) {
        let temporary = path + ".new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system("open(\(temporary))", errno) }
        let bytes = Array(content.utf8)
        let isWhole = Glibc.write(descriptor, bytes, bytes.count) == bytes.count && fsync(descriptor) == 0
        let code = errno
        close(descriptor)
        guard isWhole else { throw .system("write(\(temporary))", code) }
        guard rename(temporary, path) == 0 else { throw .system("rename(\(temporary))", errno) }
    }

    static func remove(_ path: String) { unlink(path) }

    /// Makes a folder and those above it.
    static func makeFolder(_ path: String) throws(GateError) {
        var made = ""
        for part in path.split(separator: "/") {
            made += (made.isEmpty && !path.hasPrefix("/") ? "" : "/") + part
            guard mkdir(made, 0o755) == 0 || errno == EEXIST else { throw .system("mkdir(\(made))", errno) }
        }
    }
}
