import CNetfilterQueue
import Glibc
import Packets

/// One netfilter queue, bound through libnetfilter_queue on a socket of its own. Used by one thread at a time.
final class PacketQueue {
    /// A packet that waits for its verdict. `payload` is valid until the next call of `receive`.
    struct Packet {
        var id: UInt32
        var etherType: UInt16
        var source: HardwareAddress?
        /// What other rules of the host have marked it with.
        var mark: UInt32
        var payload: UnsafeRawBufferPointer

        var isColoured: Bool { Colour.isSet(inPacket: payload) }
    }

    enum Received {
        case packets
        case nothing
        /// ENOBUFS: the kernel dropped packets because the socket was full.
        case overrun
        /// The kernel refused a verdict: the packet was no longer there.
        case verdictRefused
        case failed(Int32)
    }

    let number: UInt16
    /// The netlink port by which the kernel knows the owner of the queue.
    let port: UInt32
    let descriptor: Int32
    /// What the last `receive` brought.
    fileprivate(set) var packets: [Packet] = []
    private let library: OpaquePointer
    private var queue: OpaquePointer?
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 17, alignment: 16)

    init(number: UInt16, length: UInt32, receiveBuffer: Int) throws(GateError) {
        self.number = number
        guard let library = nfq_open() else { throw .system("nfq_open", errno) }
        self.library = library
        descriptor = nfq_fd(library)
        port = nfnl_portid(nfq_nfnlh(library))
        // The library opens its socket without it; a child that inherited the socket would keep the queue bound.
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        var size = Int32(clamping: receiveBuffer)
        if setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, socklen_t(MemoryLayout<Int32>.size)) != 0 {
            _ = setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        queue = nil
        let context = Unmanaged.passUnretained(self).toOpaque()
        errno = 0
        queue = nfq_create_queue(library, number, collectPacket, context)
        guard let queue else {
            let code = errno
            if QueueStatistics.read()[number] != nil { throw .queueTaken(number) }
            if SmallFile.read(QueueStatistics.path) == nil { throw .kernelLacks("netfilter queues (nfnetlink_queue)") }
            throw .system("nfq_create_queue", code)
        }
        // Whole packets; neither GSO (the kernel then segments and computes checksums, so that a log can be replayed)
        // nor fail-open (a full queue must show).
        guard nfq_set_mode(queue, UInt8(NFQNL_COPY_PACKET.rawValue), 0xffff) >= 0,
            nfq_set_queue_maxlen(queue, length) >= 0
        else { throw .system("nfq_set_mode", errno) }
    }

    deinit {
        if let queue { nfq_destroy_queue(queue) }
        nfq_close(library)
        buffer.deallocate()
    }

    /// Takes one datagram from the socket without waiting.
    func receive() -> Received {
        packets.removeAll(keepingCapacity: true)
        while true {
            let count = recv(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
            if count < 0 {
                switch errno {
                case EINTR: continue
                case EAGAIN: return .nothing
                case ENOBUFS: return .overrun
                default: return .failed(errno)
                }
            }
            guard count >= NetlinkMessage.headerLength else { return .nothing }
            if Int32(buffer.loadUnaligned(fromByteOffset: 4, as: UInt16.self)) == NLMSG_ERROR, count >= 20 {
                if buffer.loadUnaligned(fromByteOffset: 16, as: Int32.self) != 0 { return .verdictRefused }
                continue
            }
            nfq_handle_packet(library, buffer.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(count))
            if !packets.isEmpty { return .packets }
        }
    }

    /// Lets all packets up to this one go on, in the order in which they came.
    func accept(upTo id: UInt32) -> Bool { nfq_set_verdict_batch(queue, id, UInt32(NF_ACCEPT)) >= 0 }

    /// The same, and all of them get this mark.
    func accept(upTo id: UInt32, mark: UInt32) -> Bool {
        nfq_set_verdict_batch2(queue, id, UInt32(NF_ACCEPT), mark) >= 0
    }

    /// Lets one packet go on, past those that wait before it.
    func accept(_ id: UInt32) -> Bool { nfq_set_verdict(queue, id, UInt32(NF_ACCEPT), 0, nil) >= 0 }

    func drop(_ id: UInt32) -> Bool { nfq_set_verdict(queue, id, UInt32(NF_DROP), 0, nil) >= 0 }
}

/// Called by the library for each packet of a datagram, on the thread that called `receive`.
private func collectPacket(
    _ queue: OpaquePointer?, _ message: UnsafeMutablePointer<nfgenmsg>?, _ data: OpaquePointer?,
    _ context: UnsafeMutableRawPointer?
) -> Int32 {
    guard let data, let context, let header = nfq_get_msg_packet_hdr(data) else { return 0 }
    // The header is a packed structure: read by offset.
    let fields = UnsafeRawPointer(header)
    var source: HardwareAddress?
    if let hardware = nfq_get_packet_hw(data) {
        let bytes = UnsafeRawPointer(hardware)
        if UInt16(bigEndian: bytes.loadUnaligned(as: UInt16.self)) == 6 {
            source = HardwareAddress(octets: UnsafeRawBufferPointer(start: bytes + 4, count: 6))
        }
    }
    var payload: UnsafeMutablePointer<UInt8>?
    let count = nfq_get_payload(data, &payload)
    Unmanaged<PacketQueue>.fromOpaque(context).takeUnretainedValue().packets.append(
        PacketQueue.Packet(
            id: UInt32(bigEndian: fields.loadUnaligned(as: UInt32.self)),
            etherType: UInt16(bigEndian: fields.loadUnaligned(fromByteOffset: 4, as: UInt16.self)),
            source: source, mark: nfq_get_nfmark(data),
            payload: UnsafeRawBufferPointer(start: payload, count: max(0, Int(count)))))
    return 0
}
