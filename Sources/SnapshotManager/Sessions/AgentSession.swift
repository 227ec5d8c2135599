import NIOConcurrencyHelpers
package import SnapshotProtocol
package import WireProtocol

/// One agent's stream, from its certificate to its end.
///
/// Sending and receiving never wait: between arm and release nothing may stand in the way of a command.
package final class AgentSession: Sendable {
    /// What a message is about, and so who gets it.
    package enum Topic: Hashable, Sendable {
        case machines(request: UInt64)
        case epoch(cluster: String, Epoch)
        case restore(id: UInt64)
    }

    package enum Event: Sendable {
        case message(AgentMessage)
        /// The session has ended. Nothing follows.
        case lost
    }

    package let host: HostName
    /// Serial number of the certificate, hexadecimal.
    package let serial: String
    /// What the session's stream has to write. For one reader.
    package let outgoing: AsyncStream<ManagerMessage>

    private let sink: AsyncStream<ManagerMessage>.Continuation
    private let state = NIOLockedValueBox(State())

    private struct State {
        var listeners: [Topic: @Sendable (Event) -> Void] = [:]
        var closed = false
        var reason: Failure?
        var offers: [String: String] = [:]
        var nextRequest: UInt64 = 1
    }

    package init(host: HostName, serial: String) {
        self.host = host
        self.serial = serial
        (outgoing, sink) = AsyncStream.makeStream(of: ManagerMessage.self)
    }

    /// What the host can meet of a VM's requirements, by the agent's hello.
    package var offers: [String: String] { state.withLockedValue { $0.offers } }

    func greet(_ hello: AgentHello) { state.withLockedValue { $0.offers = hello.offers } }

    package func send(_ message: ManagerMessage) { sink.yield(message) }

    /// Calls `listener` with every message about `topic`, on the thread on which it arrives, and with `lost` when the
    /// session ends or has ended.
    package func listen(to topic: Topic, _ listener: @escaping @Sendable (Event) -> Void) {
        let closed = state.withLockedValue { state in
            if !state.closed { state.listeners[topic] = listener }
            return state.closed
        }
        if closed { listener(.lost) }
    }

    package func stopListening(to topic: Topic) {
        state.withLockedValue { _ = $0.listeners.removeValue(forKey: topic) }
    }

    /// Hands a message to whoever listens; what is about an epoch that is over finds nobody.
    package func receive(_ message: AgentMessage) {
        let topic: Topic? =
            switch message {
            case .hello: nil
            case .machines(let request, _): .machines(request: request)
            case .snapshot(let cluster, let epoch, _): .epoch(cluster: cluster, epoch)
            case .progress(let cluster, let epoch, _, _, _): .epoch(cluster: cluster, epoch)
            case .restore(let id, _): .restore(id: id)
            }
        guard let topic else { return }
        let listener = state.withLockedValue { $0.listeners[topic] }
        listener?(.message(message))
    }

    /// Ends the session. The first reason stands.
    package func close(_ reason: Failure?) {
        let listeners = state.withLockedValue { state in
            guard !state.closed else { return [@Sendable (Event) -> Void]() }
            state.closed = true
            state.reason = reason
            let all = Array(state.listeners.values)
            state.listeners = [:]
            return all
        }
        sink.finish()
        for listener in listeners { listener(.lost) }
    }

    /// Why the manager ended the session, if it did.
    package var closeReason: Failure? { state.withLockedValue { $0.reason } }

    /// Asks the agent which VMs there are. Waits `bound` milliseconds at most.
    package func machines(bound: UInt64) async -> Result<[MachineSummary], Failure> {
        let request = state.withLockedValue { state in
            defer { state.nextRequest += 1 }
            return state.nextRequest
        }
        let (answers, answer) = AsyncStream.makeStream(of: Result<[MachineSummary], Failure>.self)
        let topic = Topic.machines(request: request)
        let host = self.host
        listen(to: topic) { event in
            switch event {
            case .message(.machines(_, let result)): answer.yield(result)
            case .message: break
            case .lost:
                let text = "The connection to \(host) was lost before it said which VMs it has. Try again."
                answer.yield(.failure(Failure(.hostUnavailable, text)))
            }
        }
        defer { stopListening(to: topic) }
        let timer = Task {
            guard (try? await Task.sleep(for: .milliseconds(bound))) != nil else { return }
            let text = "\(host) did not say in time which VMs it has. See whether its hypervisor hangs."
            answer.yield(.failure(Failure(.hypervisorUnavailable, text)))
        }
        defer { timer.cancel() }
        send(.listMachines(request: request))
        for await first in answers { return first }
        return .failure(Failure(.cancelled, "The call was cancelled."))
    }
}
