import Packets

enum PacketsSubject {
    private static let v4 = (IPAddress.v4(0x0a00_0001), IPAddress.v4(0x0a00_0002))

    static func run(_ bytes: [UInt8]) throws {
        // A slice that does not begin at zero, as payloads do.
        let slice = ([0xff, 0xff, 0xff] + bytes).dropFirst(3)
        if let frame = try? EthernetFrame(decoding: slice) {
            try Broken.unless(frame.encoded == bytes, "An Ethernet frame is written otherwise than read.")
            try packet(frame.payload)
        }
        try packet(slice)
        // Checksums keep a fuzzer out: once more with a right one.
        try packet(withHeaderChecksum(slice))
        try transport(slice)
    }

    private static func packet(_ slice: ArraySlice<UInt8>) throws {
        if let packet = try? IPv4Packet(decoding: slice) {
            let again = try IPv4Packet(decoding: packet.encode()[...])
            try Broken.unless(again == packet, "An IPv4 packet is written otherwise than read.")
            try transport(packet.payload)
        }
        if let packet = try? IPv6Packet(decoding: slice) {
            let again = try packet.encode()
            try Broken.unless(again.count <= slice.count, "An IPv6 packet grew.")
            _ = try? IPv6Packet(decoding: again[...])
            _ = packet.destination.groupHardwareAddress
            _ = packet.source.description
            if !packet.isLaterFragment { try transport(packet.payload) }
        }
        let candidate = slice.withUnsafeBytes { Marker.isCandidate(packet: $0) }
        guard let (marker, body, tag) = try? Marker.decode(packet: slice) else { return }
        try Broken.unless(candidate, "A marker is no candidate: it would reach the guest.")
        try Broken.unless(try marker.body() == Array(body), "A marker's tag covers other bytes than were read.")
        let frame = try marker.frame(tag: Array(tag), source: .broadcast, destination: .broadcast)
        let again = try Marker.decode(packet: frame.dropFirst(EthernetFrame.headerLength))
        try Broken.unless(again.marker == marker && again.tag == tag, "A marker is written otherwise than read.")
    }

    private static func transport(_ slice: ArraySlice<UInt8>) throws {
        if let segment = try? TCPSegment(decoding: slice) {
            let again = try TCPSegment(decoding: segment.encode(source: v4.0, destination: v4.1)[...])
            try Broken.unless(again == segment, "A TCP segment is written otherwise than read.")
        }
        if let datagram = try? UDPDatagram(decoding: slice) {
            let again = try UDPDatagram(decoding: datagram.encode(source: v4.0, destination: v4.1)[...])
            try Broken.unless(again == datagram, "A UDP datagram is written otherwise than read.")
        }
        if let message = try? ICMPMessage(decoding: slice) {
            try Broken.unless(
                try ICMPMessage(decoding: message.encoded[...]) == message,
                "An ICMP message is written otherwise than read.")
        }
    }

    private static func withHeaderChecksum(_ slice: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var bytes = Array(slice)
        guard let first = bytes.first, first >> 4 == 4, bytes.count >= 20 else { return slice }
        (bytes[10], bytes[11]) = (0, 0)
        let checksum = InternetChecksum.of(bytes.prefix(Int(first & 15) * 4))
        bytes[10] = UInt8(checksum >> 8)
        bytes[11] = UInt8(checksum & 0xff)
        return bytes[...]
    }
}
