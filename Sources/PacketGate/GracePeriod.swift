import CNetfilterQueue
import Glibc

/// Waits until every frame that is on its way through this host's network code has left it.
enum GracePeriod {
    /// Closing a packet socket makes the kernel wait for an RCU grace period (`synchronize_net`), and it handles each
    /// frame, from the bridge's port to the queue of another port, within one RCU read-side section. So a frame that
    /// met the rules as they were before this call is, after it, held in a queue or out of the bridge.
    static func wait() throws(GateError) {
        // 88b5 is for local experiments (IEEE 802): the socket sees no frame in its short life.
        let type = UInt16(0x88b5).bigEndian
        let descriptor = socket(AF_PACKET, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), Int32(type))
        guard descriptor >= 0 else { throw .system("socket(AF_PACKET)", errno) }
        close(descriptor)
    }
}
