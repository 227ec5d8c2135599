/// Several inputs in one: each piece has its length before it, in two octets, the higher first. What is left is never
/// refused, so that every mutation means something: a length that is too long takes what there is.
struct Pieces: Sequence, IteratorProtocol {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    mutating func next() -> [UInt8]? {
        guard rest.count >= 2 else { return nil }
        let length = Int(rest[rest.startIndex]) << 8 | Int(rest[rest.startIndex + 1])
        rest = rest.dropFirst(2)
        defer { rest = rest.dropFirst(length) }
        return Array(rest.prefix(length))
    }
}
