import Packets

/// Learns where on the wire a guest sends what: netfilter queues say nothing of a packet's destination on Ethernet, and
/// for a peer behind a router it does not follow from the IP address.
///
/// It watches the guest's tap through libpcap. A packet socket is given a frame before the bridge and netfilter see
/// it, so once the queue is drained, what was held has been watched already, and draining the watcher completes the
/// map.
final class DestinationLearner {
    private let capture: CaptureHandle
    private(set) var destinations: [IPAddress: HardwareAddress] = [:]

    init(tap: String) throws(GateError) { capture = try CaptureHandle(interface: tap) }

    /// To be polled; none when the tap is gone, which would be readable for ever.
    var descriptor: Int32 { isAlive ? capture.descriptor : -1 }
    private var isAlive = true

    /// Frames that were missed.
    var lost: UInt64 { capture.lost }

    func start() throws(GateError) { try capture.see(nothing: false) }

    func stop() throws(GateError) { try capture.see(nothing: true) }

    func drain() {
        isAlive = capture.drain { frame in
            guard frame.count >= EthernetFrame.headerLength else { return }
            let destination = HardwareAddress(octets: frame[0..<6])
            let address: IPAddress?
            switch UInt16(frame[12]) << 8 | UInt16(frame[13]) {
            case EthernetFrame.EtherType.ipv4 where frame.count >= 34: address = IPAddress(octets: frame[30..<34])
            case EthernetFrame.EtherType.ipv6 where frame.count >= 54: address = IPAddress(octets: frame[38..<54])
            default: address = nil
            }
            if let destination, let address { destinations[address] = destination }
        }
    }
}
