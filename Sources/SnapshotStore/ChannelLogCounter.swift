/// Counts the packets of a channel log while its bytes pass, in pieces of any size and with none of them kept: logs come
/// from other machines and may claim any size. It passes what `PcapFile` of `Packets` decodes, and nothing else.
///
/// The format is that of libpcap (`pcap-savefile(5)`): a header of 24 bytes, then for each packet 16 bytes, of which
/// the third word is the number of bytes that follow; words in the byte order that the first one shows.
struct ChannelLogCounter {
    private enum Place {
        case header
        case record
        case payload(left: UInt32)
    }

    /// Largest packet that `libpcap` itself accepts.
    static let largestPacket: UInt32 = 262_144

    private(set) var packets: UInt64 = 0
    /// Why the bytes so far are no capture file.
    private(set) var flaw: String?

    private var place = Place.header
    private var gathered: [UInt8] = []
    private var bigEndian = false
    /// Of these the second word of a packet's header counts how many have passed; a second has as many.
    private var fractions: UInt32 = 1_000_000_000

    mutating func consume(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes[...]
        while flaw == nil, !rest.isEmpty {
            switch place {
            case .header:
                guard gather(24, from: &rest) else { return }
                readHeader()
                begin(.record)
            case .record:
                guard gather(16, from: &rest) else { return }
                let length = word(at: 8)
                guard word(at: 4) < fractions else {
                    flaw = "The time of packet \(packets + 1) is none."
                    return
                }
                guard length <= Self.largestPacket else {
                    flaw = "Packet \(packets + 1) claims \(length) bytes."
                    return
                }
                begin(length == 0 ? .record : .payload(left: length))
                if length == 0 { packets += 1 }
            case .payload(let left):
                let taken = min(Int(left), rest.count)
                rest = rest.dropFirst(taken)
                if taken == Int(left) {
                    packets += 1
                    begin(.record)
                } else {
                    place = .payload(left: left - UInt32(taken))
                }
            }
        }
    }

    /// Call at the end of the file.
    mutating func finish() {
        guard flaw == nil else { return }
        switch place {
        case .header: flaw = "It ends within the header of a capture file."
        case .record: if !gathered.isEmpty { flaw = "It ends within the header of packet \(packets + 1)." }
        case .payload: flaw = "It ends within packet \(packets + 1)."
        }
    }

    private mutating func begin(_ next: Place) {
        place = next
        gathered.removeAll(keepingCapacity: true)
    }

    private mutating func gather(_ count: Int, from rest: inout Slice<UnsafeRawBufferPointer>) -> Bool {
        let piece = rest.prefix(count - gathered.count)
        gathered += piece
        rest = rest.dropFirst(piece.count)
        return gathered.count == count
    }

    private mutating func readHeader() {
        switch word(at: 0) {
        case 0xA1B2_3C4D: break
        case 0xA1B2_C3D4: fractions = 1_000_000
        case 0x4D3C_B2A1: bigEndian = true
        case 0xD4C3_B2A1: (bigEndian, fractions) = (true, 1_000_000)
        default:
            flaw = "It does not begin as a capture file does."
            return
        }
        let major = bigEndian ? word(at: 4) >> 16 : word(at: 4) & 0xFFFF
        guard major == 2 else {
            flaw = "Its version is \(major), and only 2 is known."
            return
        }
        // The upper half carries other things than the link type, of which 1 is Ethernet.
        if word(at: 20) & 0xFFFF != 1 { flaw = "Its packets are no Ethernet frames." }
    }

    private func word(at offset: Int) -> UInt32 {
        let bytes = gathered[offset..<offset + 4]
        return bigEndian
            ? bytes.reduce(0) { $0 << 8 | UInt32($1) } : bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
}
