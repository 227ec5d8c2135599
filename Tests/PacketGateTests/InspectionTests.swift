import Logging
import Packets
import Testing

@testable import PacketGate

extension GateTests {
    @Suite struct Inspection {
        @Test("A queue that another program has is named, and those of our own epochs are passed over")
        func queues() throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let b = try Guest("b", number: 2, on: desktop)
            let gate = try GateFixture(on: desktop)
            let free = try desktop.run { [gate = gate.gate] in gate.inspectQueues(members: 2) }
            #expect(free.map(\.number) == [7_100, 7_101, 7_102, 7_103])
            #expect(free.allSatisfy { $0.failure == nil })
            let foreign = try desktop.run { UncheckedQueue(try PacketQueue(number: 7_101, length: 1, receiveBuffer: 65_536)) }
            let taken = try desktop.run { [gate = gate.gate] in gate.inspectQueues(members: 1) }
            #expect(taken.map(\.failure) == [nil, .queueTaken(7_101)])
            foreign.queue = nil
            let epoch = try gate.open([a, b])
            let beside = try desktop.run { [gate = gate.gate] in gate.inspectQueues(members: 1) }
            #expect(beside.map(\.number) == [7_104, 7_105])
            #expect(beside.allSatisfy { $0.failure == nil })
            try epoch.call { $0.close() }
        }

        // SAFETY: used by one thread at a time.
        private final class UncheckedQueue: @unchecked Sendable {
            var queue: PacketQueue?
            init(_ queue: consuming PacketQueue) { self.queue = queue }
        }

        @Test("To look at a bridge changes nothing of it, and one that is not there is named")
        func bridges() throws {
            let desktop = try Desktop()
            let before = try desktop.link("br0")
            try desktop.run { try GateInspection.checkBridge("br0") }
            #expect(try desktop.link("br0") == before)
            #expect(throws: GateError.bridgeMissing("br9")) { try desktop.run { try GateInspection.checkBridge("br9") } }
            #expect(throws: GateError.bridgeMissing("lo")) { try desktop.run { try GateInspection.checkBridge("lo") } }
        }

        @Test("The packet filter's tools read the gate's rules, and nothing is put into force")
        func filterTools() throws {
            let desktop = try Desktop()
            let before = try desktop.rules()
            let tools = try desktop.run { try GateInspection.filterTools() }
            #expect(tools.count == 2)
            #expect(tools.allSatisfy { $0.contains("nf_tables") })
            #expect(try desktop.rules() == before)
        }

        @Test("A firewall that drops what is forwarded is seen, unless it lets bridged frames by")
        func firewall() throws {
            let desktop = try Desktop()
            #expect(try desktop.run { try GateInspection.filtersThatDropForwarded() } == [])
            try desktop.iptables("-P", "FORWARD", "DROP")
            #expect(try desktop.run { try GateInspection.filtersThatDropForwarded() } == ["iptables"])
            try desktop.iptables("-A", "FORWARD", "-p", "tcp", "-j", "ACCEPT")
            #expect(try desktop.run { try GateInspection.filtersThatDropForwarded() } == ["iptables"])
            try desktop.iptables("-I", "FORWARD", "-m", "physdev", "--physdev-is-bridged", "-j", "ACCEPT")
            #expect(try desktop.run { try GateInspection.filtersThatDropForwarded() } == [])
        }

        @Test("The way there and back is what both ends measure together, whichever began")
        func roundTrip() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let c = try Guest("c", number: 3, on: right)
            let gates = try [left, right].map { try GateFixture(on: $0) }
            let epochs = try gates.map { try $0.armColour([a, b, c]) }
            let began = GateClock.monotonic
            try epochs[0].call { try $0.sendAllMarkers(.probe) }
            #expect(try await eventually { try epochs[1].call { $0.probeTimes().count } == 2 })
            #expect(try epochs[1].call { $0.probeTimes() }.allSatisfy { $0.afterOwn == nil })
            try epochs[1].call { try $0.sendAllMarkers(.probe) }
            let arrived = try await eventually {
                try epochs[0].call { $0.probeTimes().count } == 2 && epochs[1].call { $0.probeTimes().count } == 4
            }
            #expect(arrived)
            let spent = Int64(clamping: GateClock.monotonic - began)
            let there = try #require(
                try epochs[1].call { $0.probeTimes().first { $0.sender == "a" && $0.receiver == "b" } })
            let back = try #require(try epochs[0].call { $0.probeTimes().first { $0.sender == "b" } })
            let (ahead, behind) = (try #require(there.afterOwn), try #require(back.afterOwn))
            // It came before the other end sent its own, and the wait in between counts for nothing.
            #expect(ahead < 0)
            #expect(behind > 0)
            #expect(ahead + behind > 0)
            #expect(ahead + behind <= spent)
            #expect(!there.isLocal && !there.bleached && !back.isLocal)
            let local = try #require(try epochs[1].call { $0.probeTimes().first { $0.sender == "c" } })
            #expect(local.isLocal)
            for epoch in epochs { try epoch.call { $0.close() } }
            #expect(gates.allSatisfy { $0.gate.packetsOutsideEpoch == 0 })
        }
    }
}
