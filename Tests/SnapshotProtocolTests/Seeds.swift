import Foundation

/// The seeds of one test run. `HOLDFAST_SEED` repeats a run; `HOLDFAST_SCHEDULES` makes it longer.
enum Seeds {
    static let first: UInt64 = {
        let given = ProcessInfo.processInfo.environment["HOLDFAST_SEED"].flatMap { UInt64($0) }
        let seed = given ?? UInt64.random(in: 0..<1_000_000_000)
        print("Random schedules start at HOLDFAST_SEED=\(seed).")
        return seed
    }()

    static let all: [UInt64] = {
        let given = ProcessInfo.processInfo.environment["HOLDFAST_SCHEDULES"].flatMap { UInt64($0) }
        return (0..<(given ?? 2_000)).map { first &+ $0 }
    }()
}
