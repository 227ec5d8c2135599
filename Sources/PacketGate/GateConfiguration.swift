/// Settings of the packet gate of one host.
package struct GateConfiguration: Sendable, Hashable {
    /// First netfilter queue; each gated member takes two, the lowest that are free from here on.
    package var queueBase: UInt16
    /// Packets that one queue holds before the kernel drops.
    package var queueLength: UInt32
    /// Receive buffer of a queue's socket in bytes. The kernel counts each packet with its overhead, so a segment of
    /// 1,500 octets takes about 2,500.
    package var receiveBuffer: Int
    /// Folder where what was changed in the host is remembered until it is put back, so that a restarted agent can
    /// do it. One folder per network namespace.
    package var stateDirectory: String

    package init(
        stateDirectory: String, queueBase: UInt16 = 7100, queueLength: UInt32 = 65_536,
        receiveBuffer: Int = 16 << 20
    ) {
        self.queueBase = queueBase
        self.queueLength = queueLength
        self.receiveBuffer = receiveBuffer
        self.stateDirectory = stateDirectory
    }
}
