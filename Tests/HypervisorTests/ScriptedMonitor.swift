import Foundation
import Glibc
import NIOConcurrencyHelpers

/// Plays QEMU's side of a monitor from a script, on a thread of its own.
final class ScriptedMonitor: Sendable {
    enum Step: Sendable {
        case say(String)
        /// Reads a line, and says what is given, in which `ID` stands for the line's id.
        case answer(String)
        /// Says the same again and again until the other side has gone.
        case flood(String)
        /// Waits until the other side has gone.
        case hold
    }

    static let greeting = Step.say(#"{"QMP":{"version":{"qemu":{"micro":22,"minor":2,"major":7}},"capabilities":[]}}"#)
    /// The greeting and the answer to `qmp_capabilities`.
    static let opening = [greeting, ok]
    static let ok = Step.answer(#"{"return":{},"id":ID}"#)

    private let lines = NIOLockedValueBox<[String]>([])
    private let descriptors = NIOLockedValueBox<[Int32]>([])
    private let ended = DispatchSemaphore(value: 0)

    /// What was said to it, in order.
    var heard: [String] { lines.withLockedValue { $0 } }
    var passed: [Int32] { descriptors.withLockedValue { $0 } }

    /// Gives the client's end of a pair of sockets.
    static func pair(_ script: [Step]) -> (server: ScriptedMonitor, client: Int32) {
        var ends: [Int32] = [-1, -1]
        precondition(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        let server = ScriptedMonitor()
        server.play(script, on: ends[0])
        return (server, ends[1])
    }

    private func play(_ script: [Step], on descriptor: Int32) {
        Thread.detachNewThread { [self] in
            for step in script {
                switch step {
                case .say(let text): guard write(text + "\r\n", to: descriptor) else { break }
                case .answer(let text):
                    guard let line = read(from: descriptor) else { break }
                    let id = line.firstMatch(of: /"id":([0-9]+)/).map { String($0.1) } ?? "null"
                    _ = write(text.replacing("ID", with: id) + "\r\n", to: descriptor)
                case .flood(let text): while write(text, to: descriptor) {}
                case .hold: while read(from: descriptor) != nil {}
                }
            }
            close(descriptor)
            ended.signal()
        }
    }

    private func write(_ text: String, to descriptor: Int32) -> Bool {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            bytes = bytes.dropFirst(count)
        }
        return true
    }

    /// One octet at a time, so that a descriptor is taken with the octet that it came with.
    private func read(from descriptor: Int32) -> String? {
        var line: [UInt8] = []
        while true {
            var octet: UInt8 = 0
            var control = [UInt8](repeating: 0, count: 64)
            let (count, length) = withUnsafeMutableBytes(of: &octet) { octet in
                control.withUnsafeMutableBytes { control in
                    var part = iovec(iov_base: octet.baseAddress, iov_len: 1)
                    return withUnsafeMutablePointer(to: &part) { part in
                        var message = msghdr()
                        message.msg_iov = part
                        message.msg_iovlen = 1
                        message.msg_control = control.baseAddress
                        message.msg_controllen = control.count
                        return (recvmsg(descriptor, &message, 0), message.msg_controllen)
                    }
                }
            }
            guard count == 1 else { return nil }
            if length >= 20 {
                let passed = control.withUnsafeBytes { $0.load(fromByteOffset: 16, as: Int32.self) }
                descriptors.withLockedValue { $0.append(passed) }
            }
            if octet == 0x0A { break }
            line.append(octet)
        }
        let text = String(decoding: line, as: UTF8.self)
        lines.withLockedValue { $0.append(text) }
        return text
    }

    func waitForEnd() { ended.wait() }
}
