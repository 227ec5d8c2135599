import Glibc

/// A connected unix socket from which lines are read and to which lines and descriptors are written, each with a
/// deadline. Closed with the value.
struct MonitorConnection: ~Copyable {
    enum Failure: Error {
        case late
        case ended
        /// More than `limit` octets without an end of line.
        case endless
        case system(Int32)
    }

    private let descriptor: Int32
    private var received: [UInt8] = []
    /// How much of `received` was searched for the end of a line already.
    private var searched = 0
    private let limit: Int

    /// Takes over a connected socket.
    init(owning descriptor: Int32, limit: Int) {
        self.descriptor = descriptor
        self.limit = limit
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    }

    deinit { close(descriptor) }

    /// Connects to the socket at a path.
    ///
    /// - Parameter deadline: by `WallClock.monotonic`.
    static func connect(path: String, limit: Int, deadline: UInt64) throws(Failure) -> MonitorConnection {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path), !bytes.contains(0) else {
            throw .system(ENAMETOOLONG)
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .system(errno) }
        let connection = MonitorConnection(owning: descriptor, limit: limit)
        while true {
            let result = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            if result == 0 { return connection }
            let failure = errno
            // A server that has a client and one more waiting takes no third; the socket cannot be waited for.
            guard failure == EAGAIN || failure == EINTR else { throw .system(failure) }
            guard WallClock.monotonic() < deadline else { throw .late }
            usleep(2_000)
        }
    }

    /// The process that made the listening socket, if it can be known.
    var peerProcess: Int32? {
        // pid, uid, gid: the header hides the structure from Swift.
        var credentials: [Int32] = [0, 0, 0]
        var length = socklen_t(MemoryLayout<Int32>.size * credentials.count)
        let result = getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length)
        return result == 0 && credentials[0] > 0 ? credentials[0] : nil
    }

    /// Another descriptor of the same socket; -1 if there can be none.
    func duplicate() -> Int32 { fcntl(descriptor, F_DUPFD_CLOEXEC, 3) }

    // MARK: Reading

    /// The next line without its end, or nil at the deadline.
    mutating func line(by deadline: UInt64) throws(Failure) -> [UInt8]? {
        while true {
            if let end = received[searched...].firstIndex(of: 0x0A) {
                let line = Array(received[..<end])
                received.removeSubrange(...end)
                searched = 0
                return line
            }
            searched = received.count
            guard received.count <= limit else { throw .endless }
            guard try fill(by: deadline) else { return nil }
        }
    }

    /// Waits for more and takes it; false at the deadline.
    private mutating func fill(by deadline: UInt64) throws(Failure) -> Bool {
        while true {
            let count = withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 16) { buffer in
                let count = recv(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
                if count > 0 { received.append(contentsOf: buffer[..<count]) }
                return count
            }
            if count > 0 { return true }
            if count == 0 { throw .ended }
            switch errno {
            case EINTR: continue
            case EAGAIN: if !wait(for: POLLIN, by: deadline) { return false }
            case ECONNRESET: throw .ended
            case let code: throw .system(code)
            }
        }
    }

    private func wait(for events: Int32, by deadline: UInt64) -> Bool {
        while true {
            let now = WallClock.monotonic()
            guard now < deadline else { return false }
            var polled = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            // A little more than is left, so that the deadline has passed when nothing came.
            let left = Int32(min((deadline - now) / 1_000_000 + 1, 60_000))
            let count = poll(&polled, 1, left)
            if count > 0 { return true }
        }
    }

    // MARK: Writing

    /// Writes all; the descriptor, if there is one, goes along with the first octet.
    func write(_ bytes: [UInt8], descriptor passed: Int32?, by deadline: UInt64) throws(Failure) {
        var done = 0
        while done < bytes.count {
            let count = send(bytes[done...], with: done == 0 ? passed : nil)
            if count >= 0 {
                done += count
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN: if !wait(for: POLLOUT, by: deadline) { throw .late }
            case EPIPE, ECONNRESET: throw .ended
            case let code: throw .system(code)
            }
        }
    }

    private func send(_ bytes: ArraySlice<UInt8>, with passed: Int32?) -> Int {
        bytes.withUnsafeBytes { bytes in
            var part = iovec(
                iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
            return withUnsafeMutablePointer(to: &part) { part in
                var message = msghdr()
                message.msg_iov = part
                message.msg_iovlen = 1
                let flags = Int32(MSG_NOSIGNAL)
                guard let passed else { return sendmsg(descriptor, &message, flags) }
                // cmsghdr and one descriptor, as CMSG_SPACE and CMSG_LEN have it; both are macros.
                let head = MemoryLayout<cmsghdr>.size
                return withUnsafeTemporaryAllocation(byteCount: head + 8, alignment: 8) { control in
                    control.initializeMemory(as: UInt8.self, repeating: 0)
                    var header = cmsghdr()
                    header.cmsg_len = head + MemoryLayout<Int32>.size
                    header.cmsg_level = SOL_SOCKET
                    header.cmsg_type = Int32(SCM_RIGHTS)
                    withUnsafeBytes(of: header) { control.copyMemory(from: $0) }
                    control.storeBytes(of: passed, toByteOffset: head, as: Int32.self)
                    message.msg_control = control.baseAddress
                    message.msg_controllen = control.count
                    return sendmsg(descriptor, &message, flags)
                }
            }
        }
    }
}
