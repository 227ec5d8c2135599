import Glibc

/// A system call that failed, before it is known what that means for the repository.
struct SystemFailure: Error, Hashable, Sendable {
    /// The `errno` of the call.
    var code: Int32
    var path: String
    /// Whether the call was to change something.
    var writing: Bool

    /// Takes the current `errno`: make it at once after the call.
    init(_ path: String, writing: Bool) {
        self.code = errno
        self.path = path
        self.writing = writing
    }

    init(code: Int32, path: String, writing: Bool) {
        self.code = code
        self.path = path
        self.writing = writing
    }

    var text: String { String(cString: strerror(code)) }

    /// The meaning where the caller has no better one.
    var storeError: StoreError {
        switch code {
        case ENOSPC, EDQUOT: .noSpace(path: path)
        case EROFS, EACCES, EPERM: writing ? .notWritable(path: path, why: text) : .io(path: path, why: text)
        default: .io(path: path, why: text)
        }
    }
}

extension StoreError {
    /// Runs system calls whose failures mean nothing more particular to the caller.
    static func translating<R>(_ body: () throws(SystemFailure) -> R) throws(StoreError) -> R {
        do throws(SystemFailure) {
            return try body()
        } catch {
            throw error.storeError
        }
    }
}
