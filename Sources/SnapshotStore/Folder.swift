import Glibc

/// An open folder. Everything below it is reached from its descriptor and without following symbolic links, so a
/// folder that is moved meanwhile stays the same folder, and nothing planted in it leads elsewhere.
final class Folder: Sendable {
    let descriptor: Int32
    /// Where the folder was when it was opened; for messages.
    let path: String

    private init(descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    /// Opens the folder at a path that a person gave: here, and only here, links are followed.
    init(at path: String) throws(SystemFailure) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemFailure(path, writing: false) }
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    func path(of name: String) -> String { path + "/" + name }

    func folder(_ name: String) throws(SystemFailure) -> Folder {
        let opened = openat(descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard opened >= 0 else { throw SystemFailure(path(of: name), writing: false) }
        return Folder(descriptor: opened, path: path(of: name))
    }

    /// Makes a folder that is not there yet.
    func makeFolder(_ name: String) throws(SystemFailure) {
        guard mkdirat(descriptor, name, 0o770) == 0 else { throw SystemFailure(path(of: name), writing: true) }
    }

    /// Opens a regular file for reading. Anything else under that name is `EINVAL`, and does not block.
    func file(_ name: String) throws(SystemFailure) -> OpenFile {
        let opened = openat(descriptor, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard opened >= 0 else { throw SystemFailure(path(of: name), writing: false) }
        let file = OpenFile(descriptor: opened, path: path(of: name))
        guard try file.status().st_mode & S_IFMT == S_IFREG else {
            throw SystemFailure(code: EINVAL, path: path(of: name), writing: false)
        }
        return file
    }

    /// Makes a file that is not there yet.
    func makeFile(_ name: String) throws(SystemFailure) -> OpenFile {
        let opened = openat(descriptor, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o660)
        guard opened >= 0 else { throw SystemFailure(path(of: name), writing: true) }
        return OpenFile(descriptor: opened, path: path(of: name))
    }

    func contains(_ name: String) throws(SystemFailure) -> Bool {
        var status = stat()
        if fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 { return true }
        guard errno == ENOENT else { throw SystemFailure(path(of: name), writing: false) }
        return false
    }

    /// The names in the folder, without `.` and `..`, in no order.
    func entries() throws(SystemFailure) -> [String] {
        // A descriptor of its own: the position in the listing would be shared otherwise.
        let opened = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard opened >= 0 else { throw SystemFailure(path, writing: false) }
        guard let stream = fdopendir(opened) else {
            let failure = SystemFailure(path, writing: false)
            close(opened)
            throw failure
        }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                guard errno == 0 else { throw SystemFailure(path, writing: false) }
                return names
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
    }

    /// Moves an entry. What is at the target is replaced, unless it is a folder with something in it.
    func move(_ name: String, to target: Folder, as newName: String) throws(SystemFailure) {
        guard renameat(descriptor, name, target.descriptor, newName) == 0 else {
            throw SystemFailure(path(of: name), writing: true)
        }
    }

    /// Gives a finished file its name, and fails with `EEXIST` rather than replace another of that name.
    func publish(_ temporary: String, as name: String) throws(SystemFailure) {
        if linkat(descriptor, temporary, descriptor, name, 0) == 0 {
            // With the second name in place a first one that cannot be removed is only a leftover.
            unlinkat(descriptor, temporary, 0)
            return
        }
        switch errno {
        case EEXIST where try isSame(temporary, name):
            // Over NFS a request whose answer got lost is repeated, and then meets its own work.
            unlinkat(descriptor, temporary, 0)
        case EPERM, EOPNOTSUPP, ENOSYS, EMLINK, EINVAL:
            // A file system without hard links, such as FAT: looking first is the best that it allows.
            guard try !contains(name) else {
                throw SystemFailure(code: EEXIST, path: path(of: name), writing: true)
            }
            try move(temporary, to: self, as: name)
        default:
            throw SystemFailure(path(of: name), writing: true)
        }
    }

    private func isSame(_ one: String, _ other: String) throws(SystemFailure) -> Bool {
        var first = stat()
        var second = stat()
        guard fstatat(descriptor, one, &first, AT_SYMLINK_NOFOLLOW) == 0,
            fstatat(descriptor, other, &second, AT_SYMLINK_NOFOLLOW) == 0
        else { throw SystemFailure(path(of: other), writing: true) }
        return first.st_ino == second.st_ino && first.st_dev == second.st_dev
    }

    func removeFile(_ name: String) throws(SystemFailure) {
        guard unlinkat(descriptor, name, 0) == 0 else { throw SystemFailure(path(of: name), writing: true) }
    }

    func removeEmptyFolder(_ name: String) throws(SystemFailure) {
        guard unlinkat(descriptor, name, AT_REMOVEDIR) == 0 else { throw SystemFailure(path(of: name), writing: true) }
    }

    /// Removes an entry with everything below it. One that is gone, or goes meanwhile, is no failure.
    ///
    /// - Parameter depth: How many levels may be below; a repository has three, so more is somebody's trap.
    func removeTree(_ name: String, depth: Int = 8) throws(SystemFailure) {
        if unlinkat(descriptor, name, 0) == 0 || errno == ENOENT { return }
        guard errno == EISDIR || errno == EPERM else { throw SystemFailure(path(of: name), writing: true) }
        let child: Folder
        do throws(SystemFailure) {
            child = try folder(name)
        } catch {
            if error.code == ENOENT { return }
            throw error
        }
        guard depth > 0 else { throw SystemFailure(code: ELOOP, path: child.path, writing: true) }
        for entry in try child.entries() { try child.removeTree(entry, depth: depth - 1) }
        if unlinkat(descriptor, name, AT_REMOVEDIR) != 0, errno != ENOENT {
            throw SystemFailure(path(of: name), writing: true)
        }
    }

    /// Returns when the names in this folder would survive a loss of power.
    func sync() throws(SystemFailure) {
        // Some file systems (FUSE ones among them) have no such call for folders: they are as safe as they get.
        guard fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP else {
            throw SystemFailure(path, writing: true)
        }
    }
}
