import Glibc

/// An open file. Closed when the last reference goes.
final class OpenFile: Sendable {
    let descriptor: Int32
    /// For messages.
    let path: String

    /// Takes over the descriptor.
    init(descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    func status() throws(SystemFailure) -> stat {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw SystemFailure(path, writing: false) }
        return status
    }

    /// Size in bytes.
    func size() throws(SystemFailure) -> UInt64 { UInt64(max(0, try status().st_size)) }

    /// Reads as many bytes as there are, up to the buffer's size; 0 is the end of the file.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(SystemFailure) -> Int {
        while true {
            let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            if count >= 0 { return count }
            guard errno == EINTR else { throw SystemFailure(path, writing: false) }
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(SystemFailure) {
        var rest = bytes
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if count < 0 {
                guard errno == EINTR else { throw SystemFailure(path, writing: true) }
            } else {
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }

    func write(_ bytes: [UInt8]) throws(SystemFailure) {
        try bytes.withUnsafeBytes { bytes -> Result<Void, SystemFailure> in
            do throws(SystemFailure) {
                return .success(try write(bytes))
            } catch {
                return .failure(error)
            }
        }.get()
    }

    func seek(to offset: UInt64) throws(SystemFailure) {
        guard lseek(descriptor, off_t(clamping: offset), SEEK_SET) >= 0 else {
            throw SystemFailure(path, writing: false)
        }
    }

    func truncate(to size: UInt64) throws(SystemFailure) {
        guard ftruncate(descriptor, off_t(clamping: size)) == 0 else { throw SystemFailure(path, writing: true) }
    }

    /// Returns when everything written so far would survive a loss of power.
    func sync() throws(SystemFailure) {
        guard fsync(descriptor) == 0 else { throw SystemFailure(path, writing: true) }
    }

    /// Makes this empty file share the blocks of another one, where the file system can. False where it cannot.
    func clone(from source: OpenFile) -> Bool {
        // FICLONE of <linux/fs.h>, which is a macro that Swift does not see.
        ioctl(descriptor, 0x4004_9409, source.descriptor) == 0
    }
}
