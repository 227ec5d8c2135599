import NIOConcurrencyHelpers

/// Says how a program has ended, once it has.
final class ProgramEnd: Sendable {
    private let state = NIOLockedValueBox<String?>(nil)

    func end(_ how: String) { state.withLockedValue { $0 = how } }

    var value: String? { state.withLockedValue { $0 } }
}
