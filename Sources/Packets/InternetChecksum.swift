/// The ones' complement sum of RFC 1071, of data that may come in several pieces.
package struct InternetChecksum: Sendable {
    private var sum: UInt64 = 0
    private var odd = false

    package init() {}

    package mutating func add(_ bytes: some Sequence<UInt8>) {
        for byte in bytes {
            sum &+= odd ? UInt64(byte) : UInt64(byte) << 8
            odd.toggle()
        }
    }

    /// What goes into the checksum field, if that was zero in what was added; zero, if the data already had a right
    /// one.
    package var value: UInt16 {
        var folded = sum
        while folded > 0xffff { folded = folded >> 16 + folded & 0xffff }
        return ~UInt16(truncatingIfNeeded: folded)
    }

    package static func of(_ bytes: some Sequence<UInt8>) -> UInt16 {
        var checksum = InternetChecksum()
        checksum.add(bytes)
        return checksum.value
    }

    /// The checksum of a transport segment with the pseudo header of its IP version; `segment` has zero in its field to
    /// compute one, or the one received to verify it (then the result is zero if it is right).
    package static func transport(
        _ segment: some Collection<UInt8>, protocolNumber: UInt8, source: IPAddress, destination: IPAddress
    ) -> UInt16 {
        var checksum = InternetChecksum()
        checksum.add(source.octets)
        checksum.add(destination.octets)
        var tail: [UInt8] = []
        tail.append(bigEndian: UInt32(truncatingIfNeeded: segment.count))
        tail.append(bigEndian: UInt32(protocolNumber))
        checksum.add(tail)
        checksum.add(segment)
        return checksum.value
    }
}
