import Glibc
import Packets
import Testing

@testable import PacketGate

struct TestbedError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// A desktop of its own network namespace with one bridge, played by one thread of the test process. The namespace goes
/// with its last thread, socket and tap, so nothing is left behind however a test ends.
final class Desktop: Sendable {
    private let mailbox: CommandMailbox
    private let thread: GateThread
    /// By which other namespaces address this one.
    let taskIdentifier: String

    init() throws {
        let mailbox = try CommandMailbox()
        let isEnding = Ending()
        self.mailbox = mailbox
        self.isEnding = isEnding
        thread = try GateThread(name: "desktop") {
            while !isEnding.value {
                var polled = pollfd(fd: mailbox.descriptor, events: Int16(POLLIN), revents: 0)
                poll(&polled, 1, -1)
                mailbox.runAll()
            }
            mailbox.closeAndRunRest()
        }
        taskIdentifier = try #require(
            mailbox.perform {
                // Not among the functions that Swift's Glibc module shows.
                typealias Unshare = @convention(c) (Int32) -> Int32
                guard let symbol = dlsym(nil, "unshare"), unsafeBitCast(symbol, to: Unshare.self)(0x4000_0000) == 0
                else { return nil as String? }
                var target = [UInt8](repeating: 0, count: 64)
                let count = readlink("/proc/thread-self", &target, target.count)
                return target.prefix(max(0, count)).split(separator: UInt8(ascii: "/")).last.map {
                    String(decoding: $0, as: UTF8.self)
                }
            } ?? nil)
        try run {
            for family in ["all", "default"] {
                try Self.write("/proc/sys/net/ipv6/conf/\(family)/disable_ipv6", "1")
            }
            // Here the default is on; on a desktop it is what the owner made it.
            for name in ["iptables", "ip6tables"] {
                try Self.write("/proc/sys/net/bridge/bridge-nf-call-\(name)", "0")
            }
        }
        try ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0", "forward_delay", "0")
        try ip("link", "set", "br0", "up")
    }

    // SAFETY: set on the desktop's thread, read on the desktop's thread.
    private final class Ending: @unchecked Sendable { var value = false }
    private let isEnding: Ending

    deinit {
        mailbox.post { [isEnding] in isEnding.value = true }
        thread.join()
    }

    /// Runs `body` in this desktop's namespace.
    func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
        guard let result = mailbox.perform({ Result { try body() } }) else { throw TestbedError("the desktop is gone") }
        return try result.get()
    }

    /// What a program of this desktop prints; throws if it fails.
    @discardableResult
    func command(_ program: String, _ arguments: [String]) throws -> String {
        try run {
            let process = try FilterProcess(program: program, arguments: arguments)
            process.feed("")
            return try process.finish(deadline: GateClock.monotonic + 20_000_000_000)
        }
    }

    @discardableResult
    func ip(_ arguments: String...) throws -> String { try command("/usr/sbin/ip", arguments) }

    @discardableResult
    func iptables(_ arguments: String...) throws -> String { try command("/usr/sbin/iptables-nft", arguments) }

    /// All rules of both families.
    func rules() throws -> String {
        try command("/usr/sbin/iptables-nft-save", []) + command("/usr/sbin/ip6tables-nft-save", [])
    }

    func statistics() throws -> [UInt16: QueueStatistics] { try run { QueueStatistics.read() } }

    func link(_ name: String) throws -> NetworkLink {
        try #require(try run { try LinkTable.read() }.byName[name])
    }

    /// Joins the bridges of two desktops. When it returns, frames get through: a bridge lets a port forward only some
    /// time after both ends of its wire are up, and a frame that is lost before teaches the other bridge nothing.
    func join(_ other: Desktop, wire: String, bridge: String = "br0") throws {
        try ip("link", "add", "\(wire)a", "type", "veth", "peer", "name", "\(wire)b")
        try ip("link", "set", "\(wire)b", "netns", other.taskIdentifier)
        try ip("link", "set", "\(wire)a", "master", bridge, "up")
        try other.ip("link", "set", "\(wire)b", "master", bridge, "up")
        for (desktop, port) in [(self, "\(wire)a"), (other, "\(wire)b")] {
            var tries = 0
            while try !desktop.ip("-d", "link", "show", port).contains("state forwarding") {
                tries += 1
                guard tries < 1_000 else { throw TestbedError("\(port) does not forward") }
                usleep(2_000)
            }
        }
    }

    private static func write(_ path: String, _ value: String) throws {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw TestbedError("\(path) cannot be opened") }
        defer { close(descriptor) }
        guard Glibc.write(descriptor, value, value.utf8.count) == value.utf8.count else {
            throw TestbedError("\(path) cannot be written")
        }
    }
}
