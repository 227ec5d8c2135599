/// The colour of a packet: one bit of the traffic class (the TOS octet of IPv4), set on what a member emits after its
/// cut. The two bits of explicit congestion notification are below it.
package enum Colour {
    package static let bit: UInt8 = 0x04

    /// Whether an IP packet carries the colour. Nothing but an IP packet does; reads nothing beyond the bytes.
    package static func isSet(inPacket packet: UnsafeRawBufferPointer) -> Bool {
        guard packet.count >= 2 else { return false }
        switch packet[0] >> 4 {
        case 4: return packet[1] & bit != 0
        // The traffic class lies across two octets: its lower half is the upper half of the second.
        case 6: return packet[1] >> 4 & bit != 0
        default: return false
        }
    }
}
