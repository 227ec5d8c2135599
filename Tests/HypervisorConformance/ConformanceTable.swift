import NIOConcurrencyHelpers

/// Which driver meets which obligation, as plain text.
package final class ConformanceTable: Sendable {
    package enum Verdict: Sendable, Hashable {
        case met
        case doesNotApply(String)
        case broken(String)
    }

    private struct State: Sendable {
        var drivers: [String] = []
        var verdicts: [String: [Obligation: Verdict]] = [:]
    }

    /// Of all drivers that are tested in this process.
    package static let shared = ConformanceTable()

    private let state = NIOLockedValueBox(State())

    package init() {}

    package func note(_ verdict: Verdict, of driver: String, _ obligation: Obligation) {
        state.withLockedValue { state in
            if !state.drivers.contains(driver) { state.drivers.append(driver) }
            state.verdicts[driver, default: [:]][obligation] = verdict
        }
    }

    private static func word(_ verdict: Verdict?) -> String {
        switch verdict {
        case .met: "met"
        case .doesNotApply: "does not apply"
        case .broken: "BROKEN"
        case nil: "not tried"
        }
    }

    /// A line for each obligation and a column for each driver; then why something does not apply, and what was seen.
    package var text: String {
        let (drivers, verdicts) = state.withLockedValue { ($0.drivers, $0.verdicts) }
        let first = Obligation.allCases.map(\.rawValue.count).max() ?? 0
        let width = max(14, drivers.map(\.count).max() ?? 0) + 2
        func padded(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(0, width - text.count))
        }
        var lines = [padded("obligation", first + 2) + drivers.map { padded($0, width) }.joined()]
        for obligation in Obligation.allCases {
            lines.append(
                padded(obligation.rawValue, first + 2)
                    + drivers.map { padded(Self.word(verdicts[$0]?[obligation]), width) }.joined())
        }
        for driver in drivers {
            for obligation in Obligation.allCases {
                switch verdicts[driver]?[obligation] {
                case .doesNotApply(let why): lines.append("\(driver), \(obligation): does not apply: \(why)")
                case .broken(let what): lines.append("\(driver), \(obligation): BROKEN: \(what)")
                case .met, nil: continue
                }
            }
        }
        return lines.map { $0.trimmingTrailingBlanks }.joined(separator: "\n")
    }
}

extension String {
    fileprivate var trimmingTrailingBlanks: String { String(reversed().drop { $0 == " " }.reversed()) }
}
