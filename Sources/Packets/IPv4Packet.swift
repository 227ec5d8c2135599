/// An IPv4 packet (RFC 791).
package struct IPv4Packet: Hashable, Sendable {
    package var typeOfService: UInt8
    package var identification: UInt16
    /// Reserved, don't-fragment and more-fragments bit, then the 13 bits of the fragment's offset in units of 8 octets.
    package var flagsAndOffset: UInt16
    package var timeToLive: UInt8
    package var protocolNumber: UInt8
    package var source: UInt32
    package var destination: UInt32
    /// Options with their padding: a multiple of four octets, at most 40.
    package var options: ArraySlice<UInt8>
    package var payload: ArraySlice<UInt8>

    package init(
        source: UInt32, destination: UInt32, protocolNumber: UInt8, payload: ArraySlice<UInt8>, timeToLive: UInt8 = 64,
        typeOfService: UInt8 = 0, identification: UInt16 = 0, flagsAndOffset: UInt16 = 0x4000,
        options: ArraySlice<UInt8> = []
    ) {
        self.typeOfService = typeOfService
        self.identification = identification
        self.flagsAndOffset = flagsAndOffset
        self.timeToLive = timeToLive
        self.protocolNumber = protocolNumber
        self.source = source
        self.destination = destination
        self.options = options
        self.payload = payload
    }

    /// What follows the total length, such as Ethernet padding, is left out of the payload.
    package init(decoding bytes: ArraySlice<UInt8>) throws(PacketError) {
        var reader = ByteReader(bytes, part: "IPv4 header")
        let first = try reader.uint8()
        guard first >> 4 == 4 else { throw .version("IP header", found: Int(first >> 4)) }
        let headerLength = Int(first & 15) * 4
        guard headerLength >= 20 else { throw .length("IPv4 header") }
        typeOfService = try reader.uint8()
        let totalLength = Int(try reader.integer(UInt16.self))
        guard totalLength >= headerLength else { throw .length("IPv4 header") }
        guard totalLength <= bytes.count else { throw .truncated("IPv4 packet") }
        guard InternetChecksum.of(bytes.prefix(headerLength)) == 0 else { throw .checksum("IPv4 header") }
        identification = try reader.integer()
        flagsAndOffset = try reader.integer()
        timeToLive = try reader.uint8()
        protocolNumber = try reader.uint8()
        _ = try reader.integer(UInt16.self)
        source = try reader.integer()
        destination = try reader.integer()
        options = try reader.bytes(headerLength - 20)
        payload = try reader.bytes(totalLength - headerLength)
    }

    package var isFragment: Bool { flagsAndOffset & 0x3fff != 0 }

    /// The bytes with both length fields and the header's checksum computed.
    package func encode() throws(PacketError) -> [UInt8] {
        let headerLength = 20 + options.count
        guard options.count <= 40, options.count % 4 == 0 else { throw .tooLong("IPv4 options") }
        guard headerLength + payload.count <= 0xffff else { throw .tooLong("IPv4 payload") }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(headerLength + payload.count)
        bytes.append(0x40 | UInt8(headerLength / 4))
        bytes.append(typeOfService)
        bytes.append(bigEndian: UInt16(headerLength + payload.count))
        bytes.append(bigEndian: identification)
        bytes.append(bigEndian: flagsAndOffset)
        bytes.append(timeToLive)
        bytes.append(protocolNumber)
        bytes.append(bigEndian: UInt16(0))
        bytes.append(bigEndian: source)
        bytes.append(bigEndian: destination)
        bytes.append(contentsOf: options)
        let checksum = InternetChecksum.of(bytes)
        bytes[10] = UInt8(checksum >> 8)
        bytes[11] = UInt8(checksum & 0xff)
        bytes.append(contentsOf: payload)
        return bytes
    }
}
