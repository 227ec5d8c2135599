import CNetfilterQueue

/// One netlink message, and the attributes in it. Fields are in the machine's byte order; everything is checked, for a
/// kernel newer than this code may send what it does not know.
struct NetlinkMessage {
    static let headerLength = 16

    var type: UInt16
    var payload: ArraySlice<UInt8>

    /// The messages in one datagram.
    static func parse(_ bytes: ArraySlice<UInt8>) -> [NetlinkMessage] {
        var messages: [NetlinkMessage] = []
        var rest = bytes
        while let length = rest.native(UInt32.self, at: 0), length >= headerLength, Int(length) <= rest.count,
            let type = rest.native(UInt16.self, at: 4)
        {
            messages.append(
                NetlinkMessage(type: type, payload: rest.prefix(Int(length)).dropFirst(headerLength)))
            rest = rest.dropFirst((Int(length) + 3) & ~3)
        }
        return messages
    }

    /// The attributes after a fixed header of `offset` octets, by type without its flag bits.
    func attributes(after offset: Int) -> [UInt16: ArraySlice<UInt8>] { Self.attributes(payload.dropFirst(offset)) }

    static func attributes(_ bytes: ArraySlice<UInt8>) -> [UInt16: ArraySlice<UInt8>] {
        var attributes: [UInt16: ArraySlice<UInt8>] = [:]
        var rest = bytes
        while let length = rest.native(UInt16.self, at: 0), length >= 4, Int(length) <= rest.count,
            let type = rest.native(UInt16.self, at: 2)
        {
            attributes[type & 0x3fff] = rest.prefix(Int(length)).dropFirst(4)
            rest = rest.dropFirst((Int(length) + 3) & ~3)
        }
        return attributes
    }

    static func attribute(_ type: Int, _ value: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(native: UInt16(4 + value.count))
        bytes.append(native: UInt16(type))
        bytes.append(contentsOf: value)
        while bytes.count % 4 != 0 { bytes.append(0) }
        return bytes
    }
}

extension ArraySlice where Element == UInt8 {
    /// An integer in the machine's byte order at `offset` from the start of the slice; nil beyond its end.
    func native<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type, at offset: Int) -> T? {
        guard offset >= 0, offset + MemoryLayout<T>.size <= count else { return nil }
        return withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: T.self) }
    }

    /// A string that ends at the first zero octet or with the slice.
    var zeroTerminatedString: String { String(decoding: prefix { $0 != 0 }, as: UTF8.self) }
}

extension Array where Element == UInt8 {
    mutating func append(native value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value) { append(contentsOf: $0) }
    }
}
