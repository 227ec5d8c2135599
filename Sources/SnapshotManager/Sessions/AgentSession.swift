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
        case examination(request: UInt64)
        case time(request: UInt64)
        case pathTest(id: UInt64)
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
        var version = ""
        var nextRequest: UInt64 = 1
    }

    package init(host: HostName, serial: String) {
        self.host = host
        self.serial = serial
        (outgoing, sink) = AsyncStream.makeStream(of: ManagerMessage.self)
    }

    /// What the host can meet of a VM's requirements, by the agent's last hello.
    package var offers: [String: String] { state.withLockedValue { $0.offers } }

    /// Of the agent's software, by its hello.
    package var version: String { state.withLockedValue { $0.version } }

    func greet(_ hello: AgentHello) {
        state.withLockedValue { state in
            state.offers = hello.offers
            state.version = hello.version
        }
    }

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
        // Said again when a hypervisor has come, gone, or been replaced.
        if case .hello(let hello) = message, hello.host == host { greet(hello) }
        let topic: Topic? =
            switch message {
            case .hello: nil
            case .machines(let request, _): .machines(request: request)
            case .snapshot(let cluster, let epoch, _): .epoch(cluster: cluster, epoch)
            case .progress(let cluster, let epoch, _, _, _): .epoch(cluster: cluster, epoch)
            case .restore(let id, _): .restore(id: id)
            case .examination(let request, _): .examination(request: request)
            case .time(let request, _): .time(request: request)
            case .pathTest(let id, _): .pathTest(id: id)
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

    // MARK: Questions

    /// Asks the agent which VMs there are. Waits `bound` milliseconds at most.
    package func machines(bound: UInt64) async -> Result<[MachineSummary], Failure> {
        let request = nextRequest()
        let text = "\(host) did not say in time which VMs it has. See whether its hypervisor hangs."
        return await ask(
            .listMachines(request: request), about: .machines(request: request), bound: bound,
            late: Failure(.hypervisorUnavailable, text)
        ) { message in
            guard case .machines(_, let result) = message else { return nil }
            return result
        }
    }

    /// Has the agent look for what stands in the way of a snapshot.
    func examination(of machines: [String]) async -> Result<[Finding], Failure> {
        let request = nextRequest()
        let text =
            "\(host) did not say in time what it found. See the log of its agent, and run the same version of Holdfast "
            + "there and on the manager."
        return await ask(
            .examine(request: request, machines: machines), about: .examination(request: request),
            bound: Self.examinationBound, late: Failure(.deadline, text)
        ) { message in
            guard case .examination(_, let result) = message else { return nil }
            return result
        }
    }

    /// Long enough for a desktop on which everything that is asked hangs for as long as it may.
    private static let examinationBound: UInt64 = 120_000

    /// Compares the clocks, by the best of some exchanges; nil when the agent does not answer.
    func clock() async -> ClockEstimate? {
        var estimates: [ClockEstimate] = []
        for _ in 0..<5 {
            let request = nextRequest()
            // Elapsed time by the monotonic clock: the manager's own wall clock may be stepped meanwhile.
            let (asked, began) = (WallClock.now, ContinuousClock.now)
            let answer = await ask(
                .tellTime(request: request), about: .time(request: request), bound: 2_000,
                late: Failure(.deadline, "")
            ) { message -> Result<(UInt64, Duration), Failure>? in
                guard case .time(_, let told) = message else { return nil }
                return .success((told, began.duration(to: .now)))
            }
            guard case .success(let (told, trip)) = answer else { break }
            let (seconds, attoseconds) = trip.components
            let nanoseconds = UInt64(clamping: seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
            estimates.append(ClockEstimate(asked: asked, told: told, answered: asked &+ nanoseconds))
        }
        return ClockEstimate.best(of: estimates)
    }

    private func nextRequest() -> UInt64 {
        state.withLockedValue { state in
            defer { state.nextRequest += 1 }
            return state.nextRequest
        }
    }

    private func ask<Value: Sendable>(
        _ question: ManagerMessage, about topic: Topic, bound: UInt64, late: Failure,
        _ read: @escaping @Sendable (AgentMessage) -> Result<Value, Failure>?
    ) async -> Result<Value, Failure> {
        let (answers, answer) = AsyncStream.makeStream(of: Result<Value, Failure>.self)
        let host = self.host
        listen(to: topic) { event in
            switch event {
            case .message(let message):
                if let result = read(message) { answer.yield(result) }
            case .lost:
                let text = "The connection to \(host) was lost before it had answered. Try again."
                answer.yield(.failure(Failure(.hostUnavailable, text)))
            }
        }
        defer { stopListening(to: topic) }
        let timer = Task {
            guard (try? await Task.sleep(for: .milliseconds(bound))) != nil else { return }
            answer.yield(.failure(late))
        }
        defer { timer.cancel() }
        send(question)
        for await first in answers { return first }
        return .failure(Failure(.cancelled, "The call was cancelled."))
    }
}
