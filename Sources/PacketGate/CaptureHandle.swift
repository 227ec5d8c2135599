import CPcap
import Glibc
import Packets

/// A libpcap handle on one interface, for sending frames or for watching what comes in. Used by one thread at a time.
final class CaptureHandle {
    let interface: String
    private let handle: OpaquePointer

    /// Sees nothing until a filter says otherwise.
    init(interface: String) throws(GateError) {
        self.interface = interface
        var message = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
        guard let handle = pcap_create(interface, &message) else {
            throw .internalError("pcap_create(\(interface)): \(Self.string(message))")
        }
        // From here on `deinit` closes it, also when this throws.
        self.handle = handle
        // Addresses only: 14 octets of Ethernet and 40 of IPv6.
        pcap_set_snaplen(handle, 96)
        pcap_set_promisc(handle, 0)
        pcap_set_immediate_mode(handle, 1)
        pcap_set_buffer_size(handle, 2 << 20)
        let code = pcap_activate(handle)
        guard code >= 0 else {
            let reason = String(cString: pcap_geterr(handle))
            switch code {
            case PCAP_ERROR_NO_SUCH_DEVICE, PCAP_ERROR_IFACE_NOT_UP: throw .tapMissing(interface)
            case PCAP_ERROR_PERM_DENIED: throw .noRights("CAP_NET_RAW")
            default: throw .internalError("pcap_activate(\(interface)): \(reason)")
            }
        }
        guard pcap_datalink(handle) == DLT_EN10MB else {
            throw .internalError("\(interface) carries no Ethernet frames")
        }
        guard pcap_setnonblock(handle, 1, &message) == 0 else {
            throw .internalError("pcap_setnonblock(\(interface)): \(Self.string(message))")
        }
        _ = fcntl(pcap_get_selectable_fd(handle), F_SETFD, FD_CLOEXEC)
        try see(nothing: true)
    }

    deinit { pcap_close(handle) }

    var descriptor: Int32 { pcap_get_selectable_fd(handle) }

    /// Watches IP packets that come in, or nothing.
    func see(nothing: Bool) throws(GateError) {
        var program = bpf_program()
        if nothing {
            var reject = bpf_insn(code: UInt16(BPF_RET), jt: 0, jf: 0, k: 0)
            let code = withUnsafeMutablePointer(to: &reject) { instruction in
                program.bf_len = 1
                program.bf_insns = instruction
                return pcap_setfilter(handle, &program)
            }
            guard code == 0 else { throw failure("pcap_setfilter") }
        } else {
            guard pcap_setdirection(handle, PCAP_D_IN) == 0 else { throw failure("pcap_setdirection") }
            guard pcap_compile(handle, &program, "ip or ip6", 1, PCAP_NETMASK_UNKNOWN) == 0 else {
                throw failure("pcap_compile")
            }
            defer { pcap_freecode(&program) }
            guard pcap_setfilter(handle, &program) == 0 else { throw failure("pcap_setfilter") }
        }
    }

    /// Gives every frame that has been captured so far to `body`, without waiting. False when the interface is gone.
    func drain(_ body: (UnsafeRawBufferPointer) -> Void) -> Bool {
        withoutActuallyEscaping(body) { body in
            var box = FrameHandler(handle: body)
            while true {
                let count = withUnsafeMutablePointer(to: &box) { pointer in
                    pcap_dispatch(
                        handle, -1,
                        { context, header, bytes in
                            guard let context, let header, let bytes else { return }
                            let frame = UnsafeRawBufferPointer(start: bytes, count: Int(header.pointee.caplen))
                            UnsafeRawPointer(context).assumingMemoryBound(to: FrameHandler.self).pointee.handle(frame)
                        }, UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: UInt8.self))
                }
                if count <= 0 { return count == 0 }
            }
        }
    }

    /// Frames that the kernel could not keep for `drain`.
    var lost: UInt64 {
        var statistics = pcap_stat()
        return pcap_stats(handle, &statistics) == 0 ? UInt64(statistics.ps_drop) : 0
    }

    /// Sends one frame out of the interface: for a tap that is to its guest, for a port of a bridge to the wire.
    func inject(_ frame: [UInt8]) throws(GateError) {
        var attempts = 0
        while pcap_inject(handle, frame, frame.count) != frame.count {
            // The device's queue is full for a moment.
            guard errno == ENOBUFS || errno == EAGAIN || errno == EINTR, attempts < 200 else {
                throw failure("pcap_inject")
            }
            attempts += 1
            usleep(500)
        }
    }

    private func failure(_ call: String) -> GateError {
        .internalError("\(call)(\(interface)): \(String(cString: pcap_geterr(handle)))")
    }

    private static func string(_ message: [CChar]) -> String {
        String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

private struct FrameHandler {
    var handle: (UnsafeRawBufferPointer) -> Void
}
