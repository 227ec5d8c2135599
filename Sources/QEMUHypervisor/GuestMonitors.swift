import Hypervisor
import NIOConcurrencyHelpers

/// The open monitors of this process: a monitor serves one client, so whoever needs one shares it while it is open.
final class GuestMonitors: Sendable {
    private final class Entry: Sendable {
        struct State: Sendable {
            weak var socket: MonitorSocket?
        }
        let state = NIOLockedValueBox(State())
    }

    private let entries = NIOLockedValueBox<[String: Entry]>([:])

    /// The monitor at that path, open for as long as anybody refers to it.
    func open(_ path: String) throws(HypervisorError) -> MonitorSocket {
        let entry = entries.withLockedValue { entries in
            let entry = entries[path] ?? Entry()
            entries[path] = entry
            return entry
        }
        let result: Result<MonitorSocket, HypervisorError> = entry.state.withLockedValue { state in
            if let socket = state.socket, !socket.isClosed { return .success(socket) }
            do throws(HypervisorError) {
                let socket = try MonitorSocket(path: path)
                state.socket = socket
                return .success(socket)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Does something with the monitor; if it turns out that the QEMU of the open one has ended, with that of the next.
    func use<Value>(
        _ path: String, _ body: (MonitorSocket) throws(HypervisorError) -> Value
    ) throws(HypervisorError) -> Value {
        let monitor = try open(path)
        do throws(HypervisorError) {
            return try body(monitor)
        } catch {
            guard monitor.isClosed else { throw error }
            return try body(try open(path))
        }
    }

    /// Ends all connections at once, under the feet of whoever uses them.
    func cutOff() {
        for entry in entries.withLockedValue({ Array($0.values) }) {
            entry.state.withLockedValue(\.socket)?.shutDown()
        }
    }
}
