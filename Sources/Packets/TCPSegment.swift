/// A TCP segment (RFC 9293).
package struct TCPSegment: Hashable, Sendable {
    package struct Flags: OptionSet, Hashable, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        package static let fin = Flags(rawValue: 0x01)
        package static let syn = Flags(rawValue: 0x02)
        package static let rst = Flags(rawValue: 0x04)
        package static let psh = Flags(rawValue: 0x08)
        package static let ack = Flags(rawValue: 0x10)
        package static let urg = Flags(rawValue: 0x20)
        package static let ece = Flags(rawValue: 0x40)
        package static let cwr = Flags(rawValue: 0x80)
    }

    package var sourcePort: UInt16
    package var destinationPort: UInt16
    package var sequence: UInt32
    package var acknowledgement: UInt32
    package var flags: Flags
    package var window: UInt16
    package var urgentPointer: UInt16
    /// Options with their padding: a multiple of four octets, at most 40.
    package var options: ArraySlice<UInt8>
    package var payload: ArraySlice<UInt8>

    package init(
        sourcePort: UInt16, destinationPort: UInt16, sequence: UInt32, acknowledgement: UInt32, flags: Flags,
        payload: ArraySlice<UInt8>, window: UInt16 = 0xffff, urgentPointer: UInt16 = 0, options: ArraySlice<UInt8> = []
    ) {
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
        self.sequence = sequence
        self.acknowledgement = acknowledgement
        self.flags = flags
        self.window = window
        self.urgentPointer = urgentPointer
        self.options = options
        self.payload = payload
    }

    /// Does not look at the checksum, which needs the addresses: see `InternetChecksum.transport`.
    package init(decoding bytes: ArraySlice<UInt8>) throws(PacketError) {
        var reader = ByteReader(bytes, part: "TCP header")
        sourcePort = try reader.integer()
        destinationPort = try reader.integer()
        sequence = try reader.integer()
        acknowledgement = try reader.integer()
        let headerLength = Int(try reader.uint8() >> 4) * 4
        guard headerLength >= 20 else { throw .length("TCP header") }
        flags = Flags(rawValue: try reader.uint8())
        window = try reader.integer()
        _ = try reader.integer(UInt16.self)
        urgentPointer = try reader.integer()
        options = try reader.bytes(headerLength - 20)
        payload = reader.remaining
    }

    package func encode(source: IPAddress, destination: IPAddress) throws(PacketError) -> [UInt8] {
        guard options.count <= 40, options.count % 4 == 0 else { throw .tooLong("TCP options") }
        var bytes: [UInt8] = []
        bytes.append(bigEndian: sourcePort)
        bytes.append(bigEndian: destinationPort)
        bytes.append(bigEndian: sequence)
        bytes.append(bigEndian: acknowledgement)
        bytes.append(UInt8((20 + options.count) / 4) << 4)
        bytes.append(flags.rawValue)
        bytes.append(bigEndian: window)
        bytes.append(bigEndian: UInt16(0))
        bytes.append(bigEndian: urgentPointer)
        bytes.append(contentsOf: options)
        bytes.append(contentsOf: payload)
        let checksum = InternetChecksum.transport(
            bytes, protocolNumber: TransportProtocol.tcp, source: source, destination: destination)
        bytes[16] = UInt8(checksum >> 8)
        bytes[17] = UInt8(checksum & 0xff)
        return bytes
    }
}
