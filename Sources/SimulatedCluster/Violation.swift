/// A broken promise, with the invariant's name in the protocol's design.
package struct Violation: CustomStringConvertible, Sendable {
    package enum Invariant: String, Sendable {
        case noOrphan = "I1"
        case exactLog = "I2"
        case nothingFrozen = "I3"
        case allOrNothing = "I4"
        case openForTraffic = "I5"
        case restore = "R"
        /// What nothing hinders is taken, and the machines understand each other.
        case progress = "P"
    }

    package let invariant: Invariant
    package let text: String

    package var description: String { "\(invariant.rawValue): \(text)" }
}
