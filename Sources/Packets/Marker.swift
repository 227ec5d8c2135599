/// The in-band datagram that proves a channel to be flushed, and in colour mode that its path keeps the colour.
///
/// It is a UDP datagram between link-local IPv4 addresses with a time to live of one: any bridge forwards it like the
/// segments that it follows, no router ever does. Probes and cut markers carry the colour in their IP header as the
/// segments after a cut do; it is outside the body, because the path must be free to take it off. The body, with
/// integers in network order:
///
/// | octets | field |
/// | --- | --- |
/// | 4 | magic `HFMK` |
/// | 1 | version, 2 |
/// | 1 | kind: 0 flush, 1 probe, 2 cut |
/// | 8 | epoch |
/// | 1 | which pair of NICs of sender and receiver, from zero |
/// | 1, then as many | length of the sender's name, name in UTF-8 |
/// | 1, then as many | length of the receiver's name, name in UTF-8 |
/// | 16 | tag: the first half of the HMAC-SHA-256, with the epoch's key, of all octets before it |
package struct Marker: Hashable, Sendable {
    /// What a marker proves when it arrives.
    package enum Kind: UInt8, Hashable, Sendable, CaseIterable {
        /// Hold mode, not coloured: nothing that was emitted before the arming is under way any more.
        case flush = 0
        /// Colour mode, coloured: the same, and that the path keeps the colour.
        case probe = 1
        /// Colour mode, coloured: nothing that was emitted before the sender's cut is under way any more, and the path
        /// has kept the colour up to here.
        case cut = 2

        package var isColoured: Bool { self != .flush }
    }

    package static let port: UInt16 = 46_357
    package static let magic: [UInt8] = Array("HFMK".utf8)
    package static let version: UInt8 = 2
    package static let tagLength = 16
    /// 169.254.72.70 and 169.254.77.75: link-local, and never configured on anything.
    static let sourceAddress: UInt32 = 0xa9fe_4846
    static let destinationAddress: UInt32 = 0xa9fe_4d4b

    package var kind: Kind
    package var epoch: UInt64
    /// The marker speaks for the sender's and the receiver's NIC of this index.
    package var nicIndex: UInt8
    package var sender: String
    package var receiver: String

    package init(kind: Kind, epoch: UInt64, nicIndex: UInt8, sender: String, receiver: String) {
        self.kind = kind
        self.epoch = epoch
        self.nicIndex = nicIndex
        self.sender = sender
        self.receiver = receiver
    }

    /// What the tag is computed over. Throws `.tooLong` for names of more than 255 octets.
    package func body() throws(PacketError) -> [UInt8] {
        var bytes = Self.magic
        bytes.append(Self.version)
        bytes.append(kind.rawValue)
        bytes.append(bigEndian: epoch)
        bytes.append(nicIndex)
        for name in [sender, receiver] {
            let octets = Array(name.utf8)
            guard let length = UInt8(exactly: octets.count) else { throw .tooLong("member's name") }
            bytes.append(length)
            bytes.append(contentsOf: octets)
        }
        return bytes
    }

    /// The whole frame. `tag` has `tagLength` octets.
    package func frame(
        tag: [UInt8], source: HardwareAddress, destination: HardwareAddress
    ) throws(PacketError) -> [UInt8] {
        guard tag.count == Self.tagLength else { throw .length("marker's tag") }
        let payload = try body() + tag
        let datagram = try UDPDatagram(sourcePort: Self.port, destinationPort: Self.port, payload: payload[...])
            .encode(source: .v4(Self.sourceAddress), destination: .v4(Self.destinationAddress))
        let packet = try IPv4Packet(
            source: Self.sourceAddress, destination: Self.destinationAddress, protocolNumber: TransportProtocol.udp,
            payload: datagram[...], timeToLive: 1, typeOfService: kind.isColoured ? Colour.bit : 0
        ).encode()
        return EthernetFrame(
            destination: destination, source: source, etherType: EthernetFrame.EtherType.ipv4, payload: packet[...]
        ).encoded
    }

    /// Whether an IP packet has a marker's port and magic, so that it must not reach a guest, whatever else is wrong
    /// with it. Cheap enough for every packet; reads nothing beyond the bytes.
    package static func isCandidate(packet: UnsafeRawBufferPointer) -> Bool {
        guard packet.count >= 20, packet[0] >> 4 == 4, packet[9] == TransportProtocol.udp else { return false }
        let transport = Int(packet[0] & 15) * 4
        guard transport >= 20, packet.count >= transport + 8 + magic.count else { return false }
        let port = UInt16(packet[transport + 2]) << 8 | UInt16(packet[transport + 3])
        return port == Self.port && packet[(transport + 8)..<(transport + 8 + magic.count)].elementsEqual(magic)
    }

    /// The marker in an IP packet, with the bytes that its tag covers and the tag. Nothing is authenticated yet.
    package static func decode(
        packet: ArraySlice<UInt8>
    ) throws(PacketError) -> (marker: Marker, body: ArraySlice<UInt8>, tag: ArraySlice<UInt8>) {
        let ip = try IPv4Packet(decoding: packet)
        guard ip.protocolNumber == TransportProtocol.udp, !ip.isFragment else {
            throw .notA("marker")
        }
        let datagram = try UDPDatagram(decoding: ip.payload)
        guard datagram.destinationPort == port else { throw .notA("marker") }
        var reader = ByteReader(datagram.payload, part: "marker")
        guard try reader.bytes(magic.count).elementsEqual(magic) else { throw .notA("marker") }
        let version = try reader.uint8()
        guard version == Self.version else { throw .version("marker", found: Int(version)) }
        guard let kind = Kind(rawValue: try reader.uint8()) else { throw .notA("marker of a known kind") }
        let epoch = try reader.integer(UInt64.self)
        let nicIndex = try reader.uint8()
        var names: [String] = []
        for _ in 0..<2 {
            let length = Int(try reader.uint8())
            guard let name = String(validating: try reader.bytes(length), as: UTF8.self) else {
                throw .notA("marker")
            }
            names.append(name)
        }
        let body = datagram.payload.prefix(datagram.payload.count - reader.remaining.count)
        let tag = try reader.bytes(tagLength)
        guard reader.remaining.isEmpty else { throw .length("marker") }
        return (
            Marker(kind: kind, epoch: epoch, nicIndex: nicIndex, sender: names[0], receiver: names[1]), body, tag
        )
    }
}
