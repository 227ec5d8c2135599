import Packets

/// Copies of packets, one behind the other in one allocation.
struct SegmentStore: Sendable {
    struct Entry: Sendable {
        /// By which its queue knows the packet.
        var id: UInt32
        var isColoured: Bool
        /// Emitted before its sender's cut, as far as the gate can tell when the packet comes.
        var isChannelState: Bool
        var time: UInt64
        var source: HardwareAddress?
        var etherType: UInt16
        fileprivate var range: Range<Int>
    }

    private(set) var entries: [Entry] = []
    private var bytes: [UInt8] = []

    mutating func append(_ packet: PacketQueue.Packet, time: UInt64, isChannelState: Bool = true) {
        let start = bytes.count
        bytes.append(contentsOf: packet.payload)
        entries.append(
            Entry(
                id: packet.id, isColoured: packet.isColoured, isChannelState: isChannelState, time: time,
                source: packet.source,
                etherType: packet.etherType, range: start..<bytes.count))
    }

    mutating func append(_ entry: Entry, of other: SegmentStore) {
        var entry = entry
        let start = bytes.count
        bytes.append(contentsOf: other.bytes[entry.range])
        entry.range = start..<bytes.count
        entries.append(entry)
    }

    func packet(_ entry: Entry) -> ArraySlice<UInt8> { bytes[entry.range] }

    /// Where the packet is addressed to in its IP header; nil if it has none.
    func destination(_ entry: Entry) -> IPAddress? {
        let packet = packet(entry)
        let field =
            switch entry.etherType {
            case EthernetFrame.EtherType.ipv4: packet.dropFirst(16).prefix(4)
            case EthernetFrame.EtherType.ipv6: packet.dropFirst(24).prefix(16)
            default: packet.prefix(0)
            }
        return IPAddress(octets: field)
    }
}
