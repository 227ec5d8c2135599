import Glibc
import NIOConcurrencyHelpers

/// A client of one QEMU's monitor (QMP) on a unix socket.
///
/// Such a socket serves one client at a time: whoever holds it keeps everybody else out, so it is closed, with the
/// last reference to this object, as soon as it is not needed. Calls block and come from threads that may; several
/// take turns.
package final class MonitorSocket: Monitor, Sendable {
    private struct State: ~Copyable {
        /// Nil once it is of no use any more.
        var connection: MonitorConnection?
        var events: [MonitorEvent] = []
        var lostEvents = 0
        var lastID: UInt64 = 0
    }

    private enum Bounds {
        /// Octets of one line; the longest that QEMU writes, its schema, has a quarter of a million.
        static let line = 32 << 20
        /// Events that are kept for whoever asks for them; the oldest go first.
        static let events = 256
        /// Lines that may come before the answer to a command.
        static let lines = 100_000
    }

    /// Nanoseconds that a command may take unless it is said otherwise.
    package static let patience: UInt64 = 10_000_000_000

    package let machineName: String
    /// The process that made the socket: QEMU, unless whoever started it made the socket and handed it over.
    package let peerProcess: Int32?
    private let state: NIOLockedValueBox<Box>
    /// A descriptor of the same socket, open for as long as this object is there.
    private let breaker: Int32

    /// Holds what cannot be copied.
    private final class Box: @unchecked Sendable {
        // SAFETY: only ever reached through the lock of `state`.
        var state: State

        init(_ state: consuming State) { self.state = state }
    }

    /// Connects, waits for the greeting and opens the monitor for commands.
    ///
    /// - Parameter patience: nanoseconds for all of that.
    package convenience init(
        path: String, machineName: String? = nil, patience: UInt64 = 2_000_000_000
    ) throws(HypervisorError) {
        let deadline = WallClock.monotonic() + patience
        let connection: MonitorConnection
        do throws(MonitorConnection.Failure) {
            connection = try MonitorConnection.connect(path: path, limit: Bounds.line, deadline: deadline)
        } catch {
            throw Self.error(error, connectingTo: path)
        }
        try self.init(connection, machineName: machineName ?? path, path: path, deadline: deadline)
    }

    /// Takes over a socket that is connected to a monitor already, such as one end of a pair.
    package convenience init(
        owning descriptor: Int32, machineName: String, patience: UInt64 = 2_000_000_000
    ) throws(HypervisorError) {
        try self.init(
            MonitorConnection(owning: descriptor, limit: Bounds.line), machineName: machineName, path: nil,
            deadline: WallClock.monotonic() + patience)
    }

    private init(
        _ connection: consuming MonitorConnection, machineName: String, path: String?, deadline: UInt64
    ) throws(HypervisorError) {
        self.machineName = machineName
        peerProcess = connection.peerProcess
        breaker = connection.duplicate()
        state = NIOLockedValueBox(Box(State(connection: connection)))
        guard try greeted(by: deadline) else {
            throw Self.silence(of: machineName, path, server: peerProcess)
        }
        try execute(#"{"execute":"qmp_capabilities"}"#, descriptor: nil, deadline: deadline)
    }

    /// What is wrong with a monitor that does not greet.
    private static func silence(of name: String, _ path: String?, server: Int32?) -> HypervisorError {
        if let path, MonitorHolder.isHeld(path, server: server) {
            return .unavailable(
                "Another program holds the monitor of \(name), which serves one at a time. Give QEMU a second -qmp socket "
                    + "for it, or end it.")
        }
        return .unavailable(
            "The QEMU of \(name) does not answer on its monitor. See whether its process hangs or was stopped.")
    }

    deinit { close(breaker) }

    private func greeted(by deadline: UInt64) throws(HypervisorError) -> Bool {
        try locked { state throws(HypervisorError) in
            while let message = try self.message(&state, by: deadline, doing: "its greeting") {
                switch message {
                case .greeting: return true
                case .event: continue
                case .reply, .other, .malformed:
                    drop(&state)
                    throw .unavailable("What listens at the monitor of \(self.machineName) is not QEMU's monitor.")
                }
            }
            return false
        }
    }

    // MARK: Commands

    @discardableResult
    package func execute(_ command: String, descriptor: Int32?) throws(HypervisorError) -> String {
        try execute(command, descriptor: descriptor, deadline: WallClock.monotonic() + Self.patience)
    }

    /// - Parameter deadline: by `WallClock.monotonic`. An answer that comes later is thrown away when it comes.
    @discardableResult
    package func execute(
        _ command: String, descriptor: Int32? = nil, deadline: UInt64
    ) throws(HypervisorError) -> String {
        precondition(command.utf8.first == UInt8(ascii: "{"), "A command is a JSON object")
        return try locked { state throws(HypervisorError) in
            state.lastID += 1
            let id = state.lastID
            let text = Array("{\"id\":\(id),".utf8) + command.utf8.dropFirst() + [0x0A]
            do throws(MonitorConnection.Failure) {
                guard state.connection != nil else { throw .ended }
                try state.connection?.write(text, descriptor: descriptor, by: deadline)
            } catch {
                throw self.end(&state, error, doing: "take `\(MonitorCommand.name(of: command))`")
            }
            return try self.answer(&state, to: id, of: command, by: deadline)
        }
    }

    private func answer(
        _ state: inout State, to id: UInt64, of command: String, by deadline: UInt64
    ) throws(HypervisorError) -> String {
        for _ in 0..<Bounds.lines {
            var line: [UInt8] = []
            let doing = "an answer to `\(MonitorCommand.name(of: command))`"
            guard let message = try message(&state, by: deadline, doing: doing, line: &line) else {
                throw .unavailable(
                    "The QEMU of \(machineName) did not answer `\(MonitorCommand.name(of: command))` in time.")
            }
            // An answer of another number is that to a command which nobody waits for any more.
            guard case .reply(let number, let refusal) = message, number ?? id == id else { continue }
            if let refusal { throw .failed("QEMU refused a command for \(machineName): \(refusal).") }
            return String(decoding: line, as: UTF8.self)
        }
        drop(&state)
        throw .unavailable("The monitor of \(machineName) talks without end and does not answer.")
    }

    // MARK: Events

    /// Takes the first event, of those that came and were not taken yet or else of those still to come, that is
    /// wanted; nil if none is there at the deadline, or when QEMU has gone.
    package func event(
        by deadline: UInt64, where isWanted: (MonitorEvent) -> Bool
    ) throws(HypervisorError) -> MonitorEvent? {
        try locked { state throws(HypervisorError) in
            for _ in 0..<Bounds.lines {
                if let index = state.events.firstIndex(where: isWanted) { return state.events.remove(at: index) }
                guard state.connection != nil else { return nil }
                guard try self.message(&state, by: deadline, doing: "an event") != nil else { return nil }
            }
            return nil
        }
    }

    /// As `event`, but leaves it for whoever takes it.
    package func sees(by deadline: UInt64, where isWanted: (MonitorEvent) -> Bool) throws(HypervisorError) -> Bool {
        try locked { state throws(HypervisorError) in
            for _ in 0..<Bounds.lines {
                if state.events.contains(where: isWanted) { return true }
                guard state.connection != nil else { return false }
                guard try self.message(&state, by: deadline, doing: "an event") != nil else { return false }
            }
            return false
        }
    }

    /// Forgets what has happened so far, so that only what comes from now on is found.
    package func forgetEvents() throws(HypervisorError) {
        try locked { state throws(HypervisorError) in
            while state.connection != nil, try self.message(&state, by: 0, doing: "an event") != nil {}
            state.events = []
            state.lostEvents = 0
        }
    }

    /// How many events were thrown away since nobody took them.
    package var lostEvents: Int { state.withLockedValue { $0.state.lostEvents } }

    /// Whether QEMU has closed the socket, or it is of no use any more for another reason.
    package var isClosed: Bool { state.withLockedValue { $0.state.connection == nil } }

    /// Ends the connection at once, also under a command that waits for its answer.
    package func shutDown() { shutdown(breaker, Int32(SHUT_RDWR)) }

    /// The process that listens at that path, if it can be known: nothing of its monitor is used.
    package static func server(at path: String) -> Int32? {
        try? MonitorConnection.connect(path: path, limit: 0, deadline: 0).peerProcess
    }

    /// Whether the socket at that path is nobody's any more.
    package static func isAbandoned(_ path: String) -> Bool {
        do throws(MonitorConnection.Failure) {
            _ = try MonitorConnection.connect(path: path, limit: 0, deadline: 0)
            return false
        } catch {
            if case .system(let code) = error { return code == ECONNREFUSED || code == ENOENT }
            return false
        }
    }

    // MARK: Lines

    /// Lets go of a connection that is of no use, also for the other side.
    private func drop(_ state: inout State) {
        state.connection = nil
        shutDown()
    }

    private func message(
        _ state: inout State, by deadline: UInt64, doing what: String
    ) throws(HypervisorError) -> MonitorMessage? {
        var line: [UInt8] = []
        return try message(&state, by: deadline, doing: what, line: &line)
    }

    /// The next line; an event is also kept. Nil at the deadline.
    private func message(
        _ state: inout State, by deadline: UInt64, doing what: String, line: inout [UInt8]
    ) throws(HypervisorError) -> MonitorMessage? {
        do throws(MonitorConnection.Failure) {
            guard state.connection != nil else { throw .ended }
            guard let next = try state.connection?.line(by: deadline) else { return nil }
            line = next
        } catch {
            throw end(&state, error, doing: "send \(what)")
        }
        let message = MonitorMessage(line)
        switch message {
        case .malformed:
            drop(&state)
            throw .unavailable("What listens at the monitor of \(machineName) is not QEMU's monitor.")
        case .event(let event):
            state.events.append(event)
            if state.events.count > Bounds.events {
                state.events.removeFirst()
                state.lostEvents += 1
            }
        case .greeting, .reply, .other: break
        }
        return message
    }

    private func end(
        _ state: inout State, _ failure: MonitorConnection.Failure, doing what: String
    ) -> HypervisorError {
        switch failure {
        case .late: return .unavailable("The QEMU of \(machineName) did not \(what) in time.")
        case .ended:
            drop(&state)
            return .unavailable("The QEMU of \(machineName) has closed its monitor; its process has ended.")
        case .endless:
            drop(&state)
            return .unavailable("The monitor of \(machineName) sends a line without end.")
        case .system(let code):
            drop(&state)
            return .unavailable("The monitor of \(machineName) failed: \(String(cString: strerror(code))).")
        }
    }

    private func locked<Value>(
        _ body: (inout State) throws(HypervisorError) -> Value
    ) throws(HypervisorError) -> Value {
        let result: Result<Value, HypervisorError> = state.withLockedValue { box in
            do throws(HypervisorError) {
                return .success(try body(&box.state))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private static func error(_ failure: MonitorConnection.Failure, connectingTo path: String) -> HypervisorError {
        switch failure {
        case .system(ENOENT): .unknownMachine("There is no monitor socket \(path).")
        case .system(ECONNREFUSED): .notRunning("Nobody listens at \(path); its QEMU has ended.", state: "off")
        case .system(EACCES), .system(EPERM):
            .noRights("The agent may not open the monitor socket \(path). Give its user access to it.")
        case .system(ENAMETOOLONG):
            .unsupported("The path of a monitor socket must be shorter than 108 octets, and \(path) is not.")
        case .system(let code): .unavailable("Could not connect to \(path): \(String(cString: strerror(code))).")
        // More are waiting than the socket takes.
        case .late, .ended, .endless:
            silence(of: path, path, server: GuestProcess.find(monitor: path)?.pid)
        }
    }
}
