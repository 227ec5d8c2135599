/// Reads big-endian fields from the front of bytes that nobody vouches for: every read is checked.
struct ByteReader {
    private var rest: ArraySlice<UInt8>
    /// What is being read, for errors.
    private let part: String

    init(_ bytes: ArraySlice<UInt8>, part: String) {
        self.rest = bytes
        self.part = part
    }

    var remaining: ArraySlice<UInt8> { rest }

    mutating func bytes(_ count: Int) throws(PacketError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= rest.count else { throw .truncated(part) }
        let taken = rest.prefix(count)
        rest = rest.dropFirst(count)
        return taken
    }

    mutating func uint8() throws(PacketError) -> UInt8 {
        guard let byte = rest.popFirst() else { throw .truncated(part) }
        return byte
    }

    mutating func integer<T: FixedWidthInteger & UnsignedInteger>(_: T.Type = T.self) throws(PacketError) -> T {
        var value: T = 0
        for byte in try bytes(T.bitWidth / 8) { value = value << 8 | T(byte) }
        return value
    }
}

extension Array where Element == UInt8 {
    /// Appends an integer, most significant byte first.
    mutating func append(bigEndian value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }

    /// Appends an integer, least significant byte first.
    mutating func append(littleEndian value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }
}
