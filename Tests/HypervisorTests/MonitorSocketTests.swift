import Foundation
import Glibc
import Testing

@testable import Hypervisor

@Suite struct MonitorSocketTests {
    private func connected(
        _ script: [ScriptedMonitor.Step]
    ) throws -> (server: ScriptedMonitor, monitor: MonitorSocket) {
        let (server, client) = ScriptedMonitor.pair(ScriptedMonitor.opening + script)
        return (server, try MonitorSocket(owning: client, machineName: "vm"))
    }

    private var soon: UInt64 { WallClock.monotonic() + 10_000_000_000 }

    private func text(_ body: () throws(HypervisorError) -> Void) -> String? {
        do throws(HypervisorError) {
            try body()
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test func theMonitorIsOpenedForCommandsAndAnswers() throws {
        let (server, monitor) = try connected([.answer(#"{"return":{"status":"running"},"id":ID}"#), .hold])
        let answer = try monitor.execute(#"{"execute":"query-status"}"#)
        #expect(MonitorAnswer.runState(in: answer) == "running")
        #expect(server.heard.count == 2)
        #expect(server.heard[0].contains("qmp_capabilities"))
        #expect(server.heard[1].contains(#""execute":"query-status""#))
        #expect(!monitor.isClosed)
    }

    @Test func aRefusalIsThrownInItsOwnWords() throws {
        let (_, monitor) = try connected([
            .answer(#"{"error":{"class":"GenericError","desc":"No such disk"},"id":ID}"#), ScriptedMonitor.ok,
        ])
        #expect(throws: HypervisorError.failed("QEMU refused a command for vm: No such disk.")) {
            try monitor.execute(#"{"execute":"stop"}"#)
        }
        try monitor.execute(#"{"execute":"stop"}"#)
    }

    @Test func eventsBeforeAnAnswerAreKeptWithQEMUsTime() throws {
        let event = #"{"event":"STOP","timestamp":{"seconds":1700000000,"microseconds":250000}}"#
        let (_, monitor) = try connected([
            .answer(event + "\r\n" + #"{"return":{},"id":ID}"#), .say(#"{"event":"RESUME","timestamp":{}}"#), .hold,
        ])
        try monitor.execute(#"{"execute":"stop"}"#)
        let stopped = try monitor.event(by: 0) { $0.name == "STOP" }
        #expect(stopped?.time == 1_700_000_000_250_000_000)
        #expect(try monitor.event(by: 0) { $0.name == "STOP" } == nil)
    }

    @Test func whoWaitsForAnEventGetsTheOneThatIsWanted() throws {
        let time = #""timestamp":{"seconds":5,"microseconds":1}"#
        let (_, monitor) = try connected([
            .say(#"{"event":"MIGRATION","data":{"status":"setup"},"# + time + "}"),
            .say(#"{"event":"MIGRATION","data":{"status":"active"},"# + time + "}"),
            .say(#"{"event":"BLOCK_JOB_READY","data":{"type":"commit","device":"j1","len":0},"# + time + "}"),
            .hold,
        ])
        let ready = try monitor.event(by: soon) { $0.name == "BLOCK_JOB_READY" && $0.subject == "j1" }
        #expect(ready?.time == 5_000_001_000)
        let active = try monitor.event(by: soon) { $0.name == "MIGRATION" && $0.status == "active" }
        #expect(active != nil)
        #expect(try monitor.event(by: 0) { $0.name == "MIGRATION" }?.status == "setup")
    }

    @Test func noEventInTimeIsNoError() throws {
        let (_, monitor) = try connected([.hold])
        #expect(try monitor.event(by: WallClock.monotonic() + 1_000_000) { _ in true } == nil)
        #expect(!monitor.isClosed)
    }

    @Test func eventsThatNobodyTakesAreBounded() throws {
        let events = (0..<1_000).map { ScriptedMonitor.Step.say(#"{"event":"E\#($0)"}"#) }
        let (_, monitor) = try connected(events + [ScriptedMonitor.ok, .hold])
        try monitor.execute(#"{"execute":"query-name"}"#)
        #expect(monitor.lostEvents == 1_000 - 256)
        #expect(try monitor.event(by: 0) { $0.name == "E999" } != nil)
        #expect(try monitor.event(by: 0) { $0.name == "E0" } == nil)
        try monitor.forgetEvents()
        #expect(try monitor.event(by: 0) { _ in true } == nil)
    }

    @Test func aLateAnswerIsNotTakenForTheNextOne() throws {
        let (_, monitor) = try connected([
            .answer(#"{"event":"NOTHING"}"#),
            .answer(#"{"return":{"status":"late"},"id":2}"# + "\r\n" + #"{"return":{"status":"paused"},"id":ID}"#),
            .hold,
        ])
        let refused = text { () throws(HypervisorError) in
            try monitor.execute(#"{"execute":"query-status"}"#, deadline: WallClock.monotonic() + 20_000_000)
        }
        #expect(refused?.contains("did not answer `query-status` in time") == true)
        #expect(MonitorAnswer.runState(in: try monitor.execute(#"{"execute":"query-status"}"#)) == "paused")
    }

    @Test func aDescriptorGoesAlong() throws {
        let (server, monitor) = try connected([ScriptedMonitor.ok, .hold])
        var pipes: [Int32] = [-1, -1]
        #expect(pipe(&pipes) == 0)
        try monitor.execute(#"{"execute":"getfd","arguments":{"fdname":"image"}}"#, descriptor: pipes[1])
        close(pipes[1])
        let passed = try #require(server.passed.first)
        #expect(server.passed.count == 1)
        #expect(write(passed, "x", 1) == 1)
        var octet: UInt8 = 0
        #expect(read(pipes[0], &octet, 1) == 1 && octet == UInt8(ascii: "x"))
        close(passed)
        close(pipes[0])
    }

    @Test func aQEMUThatEndsIsToldAsSuch() throws {
        let (server, monitor) = try connected([])
        server.waitForEnd()
        for _ in 0..<2 {
            let refused = text { () throws(HypervisorError) in try monitor.execute(#"{"execute":"stop"}"#) }
            #expect(refused?.contains("its process has ended") == true)
        }
        #expect(monitor.isClosed)
    }

    @Test func anEndDuringAnAnswerIsToldToo() throws {
        let (_, monitor) = try connected([.answer(#"{"ret"#)])
        let refused = text { () throws(HypervisorError) in try monitor.execute(#"{"execute":"stop"}"#) }
        #expect(refused?.contains("What listens at the monitor") == true)
    }

    @Test(arguments: ["SSH-2.0-OpenSSH_9.2", "[]", #"{"return":{}}"#])
    func whatIsNoMonitorIsRefused(text: String) {
        let (_, client) = ScriptedMonitor.pair([.say(text), .hold])
        #expect(throws: HypervisorError.self) {
            try MonitorSocket(owning: client, machineName: "vm", patience: 5_000_000_000)
        }
    }

    @Test func aSilentServerEndsTheWait() {
        let (_, client) = ScriptedMonitor.pair([.hold])
        let refused = text { () throws(HypervisorError) in
            _ = try MonitorSocket(owning: client, machineName: "vm", patience: 20_000_000)
        }
        #expect(refused?.contains("does not answer on its monitor") == true)
    }

    @Test func aLineWithoutEndIsGivenUp() throws {
        let (server, monitor) = try connected([.answer("{"), .flood(String(repeating: "x", count: 1 << 20))])
        #expect(throws: HypervisorError.self) { try monitor.execute(#"{"execute":"stop"}"#) }
        #expect(monitor.isClosed)
        server.waitForEnd()
    }

    @Test func eventsWithoutEndAreGivenUp() throws {
        let (server, monitor) = try connected([.flood(#"{"event":"E"}"# + "\n")])
        let refused = text { () throws(HypervisorError) in
            try monitor.execute(#"{"execute":"stop"}"#, deadline: .max)
        }
        #expect(refused?.contains("talks without end") == true)
        server.waitForEnd()
    }

    @Test func whatListensNowhereIsNamed() {
        let folder = NSTemporaryDirectory() + "monitor-\(UUID().uuidString.prefix(8))"
        #expect(throws: HypervisorError.unknownMachine("There is no monitor socket \(folder).")) {
            try MonitorSocket(path: folder)
        }
        #expect(throws: HypervisorError.self) { try MonitorSocket(path: String(repeating: "/x", count: 100)) }
    }

    @Test func argumentsMayHoldAnything() throws {
        let text = MonitorCommand.text("blockdev-add", ["filename": "/a\"b\\c\n{}/d", "node-name": "n"])
        #expect(text.hasPrefix("{"))
        #expect(MonitorCommand.name(of: text) == "blockdev-add")
        struct Command: Decodable { var arguments: [String: String] }
        let read = try JSONDecoder().decode(Command.self, from: Data(text.utf8))
        #expect(read.arguments["filename"] == "/a\"b\\c\n{}/d")
    }
}

@Suite struct MonitorHolderTests {
    private let table = """
        Num       RefCount Protocol Flags    Type St Inode Path
        0000000000000000: 00000002 00000000 00010000 0001 01 1000 /run/vm 1.qmp
        0000000000000000: 00000003 00000000 00000000 0001 03 1001 /run/vm 1.qmp
        0000000000000000: 00000002 00000000 00010000 0001 01 1002 /run/free.qmp
        0000000000000000: 00000003 00000000 00000000 0001 02 1003 /run/free.qmp
        0000000000000000: 00000003 00000000 00000000 0001 03 1004 here.qmp
        0000000000000000: 00000003 00000000 00000000 0001 03 1005
        """

    @Test func aClientThatWasTakenHoldsTheMonitor() {
        #expect(MonitorHolder.isHeld("/run/vm 1.qmp", in: table))
        #expect(!MonitorHolder.isHeld("/run/free.qmp", in: table))
        #expect(MonitorHolder.isHeld("/home/me/here.qmp", in: table))
        #expect(!MonitorHolder.isHeld("/run/other.qmp", in: table))
    }

    /// With the kernel's own table.
    @Test func aRealServerWithTwoClientsIsSeenAsHeld() throws {
        let path = NSTemporaryDirectory() + "held-\(UUID().uuidString.prefix(8)).qmp"
        let listener = try Listener(path)
        defer { listener.end() }
        #expect(!MonitorHolder.isHeld(path, server: getpid()))
        var first = try MonitorConnection.connect(
            path: path, limit: 1_000, deadline: WallClock.monotonic() + 1_000_000_000)
        listener.accept()
        let refused: HypervisorError? = {
            do throws(HypervisorError) {
                _ = try MonitorSocket(path: path, patience: 50_000_000)
                return nil
            } catch {
                return error
            }
        }()
        guard case .unavailable(let text) = refused else {
            Issue.record("Not refused: \(String(describing: refused))")
            return
        }
        #expect(text.contains("Another program holds the monitor"))
        #expect(try first.line(by: 0) == nil)
        #expect(first.peerProcess == getpid())
    }

    /// Listens as QEMU does, with room for one more than the client that it has.
    private final class Listener {
        private let descriptor: Int32
        private let path: String
        private var taken: Int32 = -1

        init(_ path: String) throws {
            self.path = path
            descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            let result = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            try #require(result == 0 && listen(descriptor, 1) == 0)
        }

        func accept() { taken = Glibc.accept(descriptor, nil, nil) }

        func end() {
            close(taken)
            close(descriptor)
            unlink(path)
        }
    }
}
