/// One captured frame.
package struct PcapRecord: Hashable, Sendable {
    /// Nanoseconds since 1970.
    package var time: UInt64
    package var frame: [UInt8]
    /// Length of the frame on the wire; more than `frame` has where the capture cut it short.
    package var originalLength: Int

    package init(time: UInt64, frame: [UInt8]) {
        self.time = time
        self.frame = frame
        self.originalLength = frame.count
    }

    init(time: UInt64, frame: [UInt8], originalLength: Int) {
        self.time = time
        self.frame = frame
        self.originalLength = originalLength
    }
}

/// A capture file of Ethernet frames in the classic pcap format.
package enum PcapFile {
    static let nanosecondMagic: UInt32 = 0xa1b2_3c4d
    static let microsecondMagic: UInt32 = 0xa1b2_c3d4
    static let linkTypeEthernet: UInt32 = 1
    static let snapshotLength: UInt32 = 262_144
    static let headerLength = 24

    /// A file with nanosecond times, in little-endian order.
    package static func encode(_ records: [PcapRecord]) throws(PacketError) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(headerLength + records.reduce(0) { $0 + 16 + $1.frame.count })
        bytes.append(littleEndian: nanosecondMagic)
        bytes.append(littleEndian: UInt16(2))
        bytes.append(littleEndian: UInt16(4))
        bytes.append(littleEndian: UInt32(0))
        bytes.append(littleEndian: UInt32(0))
        bytes.append(littleEndian: snapshotLength)
        bytes.append(littleEndian: linkTypeEthernet)
        for record in records {
            guard record.frame.count <= Int(snapshotLength), let seconds = UInt32(exactly: record.time / 1_000_000_000),
                let original = UInt32(exactly: record.originalLength)
            else { throw .tooLong("capture record") }
            bytes.append(littleEndian: seconds)
            bytes.append(littleEndian: UInt32(record.time % 1_000_000_000))
            bytes.append(littleEndian: UInt32(record.frame.count))
            bytes.append(littleEndian: original)
            bytes.append(contentsOf: record.frame)
        }
        return bytes
    }

    /// Reads files of either byte order with microsecond or nanosecond times.
    package static func decode(_ bytes: [UInt8]) throws(PacketError) -> [PcapRecord] {
        var reader = ByteReader(bytes[...], part: "capture file's header")
        let magic = try reader.integer(UInt32.self)
        let swapped: Bool
        let scale: UInt64
        switch magic {
        case nanosecondMagic: (swapped, scale) = (false, 1)
        case microsecondMagic: (swapped, scale) = (false, 1_000)
        case nanosecondMagic.byteSwapped: (swapped, scale) = (true, 1)
        case microsecondMagic.byteSwapped: (swapped, scale) = (true, 1_000)
        default: throw .notA("capture file")
        }
        func word(_ reader: inout ByteReader) throws(PacketError) -> UInt32 {
            let value = try reader.integer(UInt32.self)
            return swapped ? value.byteSwapped : value
        }
        let major = try reader.integer(UInt16.self)
        guard (swapped ? major.byteSwapped : major) == 2 else {
            throw .version("capture file", found: Int(swapped ? major.byteSwapped : major))
        }
        _ = try reader.bytes(2 + 4 + 4 + 4)
        // The upper half carries the length of a check sequence and reserved bits.
        guard try word(&reader) & 0xffff == linkTypeEthernet else { throw .notA("capture of Ethernet frames") }
        var records: [PcapRecord] = []
        reader = ByteReader(reader.remaining, part: "capture record")
        while !reader.remaining.isEmpty {
            let seconds = UInt64(try word(&reader))
            let fraction = UInt64(try word(&reader)) * scale
            let length = Int(try word(&reader))
            let original = Int(try word(&reader))
            guard fraction < 1_000_000_000, length <= Int(snapshotLength) else { throw .length("capture record") }
            records.append(
                PcapRecord(
                    time: seconds * 1_000_000_000 + fraction, frame: Array(try reader.bytes(length)),
                    originalLength: original))
        }
        return records
    }
}
