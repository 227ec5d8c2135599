import Foundation

/// How long guests stand still, in one run: by Holdfast, and by what one would use instead on a single guest (see
/// `StockSnapshot`).
package struct PauseBenchmark: Sendable {
    package struct Result: Codable, Sendable {
        /// MiB of memory of each guest.
        package var memory: Int
        /// Milliseconds, of each guest and snapshot.
        package var pauses: [Double]
        /// From arm to release, milliseconds, of each guest and snapshot.
        package var holds: [Double]
        /// What one would use instead, and for how long it paused one guest, in milliseconds, one value a snapshot; none
        /// where that is what Holdfast uses.
        package var stock: String?
        package var stockPauses: [Double]

        package var pauseMedian: Double { median(pauses) }
        package var holdMedian: Double { median(holds) }
        package var stockMedian: Double { median(stockPauses) }

        enum CodingKeys: String, CodingKey {
            case memory = "memory_mib"
            case pauses = "pause_ms"
            case holds = "hold_ms"
            case stock
            case stockPauses = "stock_pause_ms"
        }
    }

    private let lab: Lab
    private let rounds: Int
    private let say: @Sendable (String) -> Void

    package init(lab: Lab, rounds: Int, say: @escaping @Sendable (String) -> Void) {
        self.lab = lab
        self.rounds = rounds
        self.say = say
    }

    package func run() async throws -> Result {
        let exercise = ClusterExercise(lab: lab, cluster: "bench")
        try await exercise.createCluster()
        var result = Result(memory: lab.configuration.memory, pauses: [], holds: [], stockPauses: [])
        for round in 1...rounds {
            let snapshot = try await exercise.snapshot()
            result.pauses += snapshot.members.map(\.pauseMilliseconds)
            result.holds += snapshot.members.map(\.holdMilliseconds)
            _ = try await lab.holdfast(["snapshot", "delete", snapshot.id])
            if let stock = try await StockSnapshot(lab: lab).take() {
                result.stock = stock.name
                result.stockPauses.append(stock.pause)
            }
            say("\(lab.configuration.memory) MiB, round \(round) of \(rounds)")
        }
        return result
    }

    package static func table(_ results: [Result]) -> String {
        var lines = ["  guest memory   pause (median)   arm to release (median)   used otherwise   ratio"]
        for result in results {
            lines.append(
                String(
                    format: "  %7d MiB   %11.1f ms   %20.1f ms   %11.1f ms   %5.1f  (%@)", result.memory,
                    result.pauseMedian, result.holdMedian, result.stockMedian,
                    result.stockMedian / max(result.pauseMedian, 0.001), result.stock ?? "nothing else"))
        }
        return lines.joined(separator: "\n")
    }
}

private func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return 0 }
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
