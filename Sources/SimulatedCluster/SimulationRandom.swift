/// SplitMix64: one seed, one sequence, on every machine and in every build.
struct SimulationRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A number in `0..<bound`. The bias is below one in a million for all bounds used here.
    @inline(__always)
    mutating func below(_ bound: UInt64) -> UInt64 { ((next() >> 32) &* bound) >> 32 }

    @inline(__always)
    mutating func index(_ count: Int) -> Int { Int(below(UInt64(count))) }

    /// A duration in nanoseconds, given in microseconds.
    @inline(__always)
    mutating func span(_ least: UInt64, _ most: UInt64) -> UInt64 { (least + below(most - least + 1)) * 1_000 }

    @inline(__always)
    mutating func chance(_ perMille: Int) -> Bool { perMille > 0 && Int(below(1_000)) < perMille }
}
