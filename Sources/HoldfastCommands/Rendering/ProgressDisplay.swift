import NIOConcurrencyHelpers
import SnapshotProtocol
import WireProtocol

/// One line on a terminal that says what is going on; nothing in a pipe.
final class ProgressDisplay: Sendable {
    private struct State {
        var phase = ""
        var stored: [MemberName: (bytes: UInt64, total: UInt64)] = [:]
        var shown = false
    }

    private let environment: CommandEnvironment
    private let state = NIOLockedValueBox(State())

    init(_ environment: CommandEnvironment) { self.environment = environment }

    func show(_ progress: SnapshotProgress) {
        switch progress {
        case .phase(let name): update { $0.phase = name }
        case .stored(let member, let bytes, let total): update { $0.stored[member] = (bytes, total) }
        case .fallBack(let reason):
            end()
            environment.error("The snapshot goes on in hold mode. \(reason)\n")
        case .sealed: break
        }
    }

    func show(_ progress: RestoreProgress) {
        switch progress {
        case .phase(let name): update { $0.phase = name }
        case .restored: break
        }
    }

    /// Takes the line away.
    func end() {
        guard state.withLockedValue({ $0.shown }) else { return }
        environment.error("\r\u{1B}[K")
    }

    private func update(_ change: (inout State) -> Void) {
        guard environment.isInteractive else { return }
        let line = state.withLockedValue { state in
            change(&state)
            state.shown = true
            let bytes = Self.sum(state.stored.values.map(\.bytes))
            let total = Self.sum(state.stored.values.map(\.total))
            guard total > 0 else { return state.phase }
            return "\(state.phase) \(Table.size(bytes)) of \(Table.size(total))"
        }
        environment.error("\r\u{1B}[K\(line.forTerminal)")
    }

    /// Hosts say the sizes, and may say anything.
    private static func sum(_ sizes: [UInt64]) -> UInt64 {
        sizes.reduce(0) { sum, size in
            let (next, overflow) = sum.addingReportingOverflow(size)
            return overflow ? .max : next
        }
    }
}
