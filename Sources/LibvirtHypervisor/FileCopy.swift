import Glibc

/// A copy of a small file, made by the kernel: the guest stands still meanwhile.
enum FileCopy {
    struct Failure: Error, CustomStringConvertible {
        var description: String

        init(_ path: String) { description = "\(path): \(String(cString: strerror(errno)))" }
    }

    static func copy(_ original: String, to copy: String) throws {
        let source = open(original, O_RDONLY | O_CLOEXEC)
        guard source >= 0 else { throw Failure(original) }
        defer { close(source) }
        let target = open(copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard target >= 0 else { throw Failure(copy) }
        defer { close(target) }
        while true {
            let count = sendfile(target, source, nil, 1 << 24)
            if count == 0 { return }
            if count < 0, errno != EINTR { throw Failure(copy) }
        }
    }
}
