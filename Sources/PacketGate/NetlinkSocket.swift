import CNetfilterQueue
import Glibc

/// A netlink socket of this network namespace, used by one thread at a time.
final class NetlinkSocket {
    let descriptor: Int32
    private var buffer = [UInt8](repeating: 0, count: 1 << 17)
    private var sequence: UInt32 = 0

    init(protocolNumber: Int32, receiveBuffer: Int32 = 1 << 20) throws(GateError) {
        descriptor = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), protocolNumber)
        guard descriptor >= 0 else { throw .system("socket(AF_NETLINK)", errno) }
        var size = receiveBuffer
        _ = setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_nl()
        address.nl_family = sa_family_t(AF_NETLINK)
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_nl>.size))
            }
        }
        // `deinit` closes the socket.
        guard code == 0 else { throw .system("bind(AF_NETLINK)", errno) }
    }

    deinit { Glibc.close(descriptor) }

    /// Subscribes to a multicast group.
    func join(group: UInt32) throws(GateError) {
        var group = group
        // SOL_NETLINK is 270, NETLINK_ADD_MEMBERSHIP is 1: <linux/socket.h> is not for user space.
        guard setsockopt(descriptor, 270, 1, &group, socklen_t(MemoryLayout<UInt32>.size)) == 0 else {
            throw .system("setsockopt(NETLINK_ADD_MEMBERSHIP)", errno)
        }
    }

    enum Pending {
        case messages([NetlinkMessage])
        case nothing
        /// The kernel had more to say than the buffer holds; some of it is lost.
        case overrun
        case failed(Int32)
    }

    /// The next datagram, without waiting.
    func receivePending() -> Pending { receive(flags: Int32(MSG_DONTWAIT)) }

    private func receive(flags: Int32) -> Pending {
        while true {
            let count = recv(descriptor, &buffer, buffer.count, flags)
            if count > 0 { return .messages(NetlinkMessage.parse(buffer.prefix(count))) }
            if count == 0 { return .nothing }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .nothing
            case ENOBUFS: return .overrun
            default: return .failed(errno)
            }
        }
    }

    /// Sends one request and collects what the kernel answers, up to its acknowledgement or the end of the dump.
    func request(type: Int, dump: Bool = false, body: [UInt8]) throws(GateError) -> [NetlinkMessage] {
        sequence += 1
        var bytes: [UInt8] = []
        bytes.append(native: UInt32(NetlinkMessage.headerLength + body.count))
        bytes.append(native: UInt16(type))
        bytes.append(native: UInt16(NLM_F_REQUEST | (dump ? NLM_F_ROOT | NLM_F_MATCH : NLM_F_ACK)))
        bytes.append(native: sequence)
        bytes.append(native: UInt32(0))
        bytes.append(contentsOf: body)
        guard send(descriptor, bytes, bytes.count, 0) == bytes.count else { throw .system("send(AF_NETLINK)", errno) }
        var answers: [NetlinkMessage] = []
        while true {
            switch receive(flags: 0) {
            case .messages(let messages):
                for message in messages {
                    switch Int32(message.type) {
                    case NLMSG_DONE: return answers
                    case NLMSG_ERROR:
                        let code = -(message.payload.native(Int32.self, at: 0) ?? 0)
                        guard code == 0 else { throw .system("netlink request \(type)", code) }
                        return answers
                    default: answers.append(message)
                    }
                }
            case .nothing: continue
            case .overrun: throw .internalError("the answer to a netlink request was lost")
            case .failed(let code): throw .system("recv(AF_NETLINK)", code)
            }
        }
    }
}
