/// The closed list of what can be wrong with a message that was decoded but says nothing that we know.
package enum WireError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A field that must be there is not; also a choice of which no branch that we know is set.
    case absent(String)
    /// An enumeration has a number that this version does not know.
    case unknown(String, Int)

    package var description: String {
        switch self {
        case .absent(let field): "The message has no \(field) that this version knows."
        case .unknown(let field, let number): "The message has \(field) \(number), which this version does not know."
        }
    }
}
