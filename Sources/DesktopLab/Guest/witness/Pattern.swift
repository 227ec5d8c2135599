/// Bytes that follow from where they stand: whoever knows the stream and the offset knows the byte.
struct Pattern {
    private let seed: UInt64

    /// - Parameter stream: names sender, receiver and purpose.
    init(stream: UInt64) {
        seed = Pattern.mix(stream &+ 0x5851_F42D_4C95_7F2D)
    }

    /// The eight bytes at `index * 8`, the first in the lowest bits.
    func word(_ index: UInt64) -> UInt64 { Pattern.mix(seed &+ index &* 0x9E37_79B9_7F4A_7C15) }

    func fill(_ buffer: UnsafeMutableBufferPointer<UInt8>, from offset: UInt64) {
        let bytes = UnsafeMutableRawBufferPointer(buffer)
        visit(count: buffer.count, from: offset) { place, value, count in
            if count == 8 {
                bytes.storeBytes(of: value, toByteOffset: place, as: UInt64.self)
            } else {
                for next in 0..<count { bytes[place + next] = UInt8(truncatingIfNeeded: value >> (next * 8)) }
            }
        }
    }

    /// How many bytes are not what they must be.
    func mismatches(_ buffer: UnsafeBufferPointer<UInt8>, from offset: UInt64) -> UInt64 {
        let bytes = UnsafeRawBufferPointer(buffer)
        var wrong: UInt64 = 0
        visit(count: buffer.count, from: offset) { place, value, count in
            if count == 8, bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self) == value { return }
            for next in 0..<count where bytes[place + next] != UInt8(truncatingIfNeeded: value >> (next * 8)) {
                wrong += 1
            }
        }
        return wrong
    }

    /// Calls `body` for each word of the pattern with the place in the buffer, the bytes in the lowest bits, and how
    /// many of them count: eight but at the ends. Word by word, since in an emulated guest this is what costs most.
    @inline(__always)
    private func visit(count: Int, from offset: UInt64, _ body: (Int, UInt64, Int) -> Void) {
        var position = 0
        while position < count {
            let place = offset &+ UInt64(position)
            let skipped = Int(place & 7)
            let bytes = min(8 - skipped, count - position)
            body(position, word(place >> 3) >> (UInt64(skipped) * 8), bytes)
            position += bytes
        }
    }

    /// A 64-bit finaliser: every bit of the input reaches every bit of the output.
    static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
