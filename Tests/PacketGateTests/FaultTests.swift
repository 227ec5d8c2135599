import Packets
import Testing

@testable import PacketGate

extension GateTests {
    @Suite struct Faults {
        @Test("When the hold budget is spent the gate opens by itself and says so")
        func watchdog() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gate = try GateFixture(on: left)
            let epoch = try gate.arm([a, b], budget: .milliseconds(150))
            try a.send(1...50, to: b)
            #expect(try await epoch.hears { $0 == .broken(.watchdog(member: "a")) })
            #expect(try await b.receiveNumbers(50) == Array(1...50))
            #expect(try await eventually { try !left.rules().contains("NFQUEUE") })
            #expect(throws: GateError.self) { try epoch.call { try $0.notePlace("a") } }
            let evidence = try #require(try epoch.call { try $0.release() }.first)
            #expect(evidence.watchdogFired)
            #expect(!evidence.unbroken)
        }

        @Test("A watchdog within a cut delivers what the cut held")
        func watchdogWithinCut() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gate = try GateFixture(on: right)
            let epoch = try gate.arm([a, b], budget: .milliseconds(300))
            epoch.epoch.beginCut("b")
            try a.send(1...5, to: b)
            #expect(try await b.receiveNumbers(5) == Array(1...5))
            #expect(try await epoch.hears { $0 == .broken(.watchdog(member: "b")) })
        }

        @Test("A full queue is seen at once and counted")
        func overflow() async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let b = try Guest("b", number: 2, on: desktop)
            let gate = try GateFixture(on: desktop, queueLength: 8)
            let epoch = try gate.arm([a, b])
            try a.send(1...20, to: b)
            #expect(try await epoch.hears { $0 == .broken(.overflow(member: "a")) })
            let evidence = try epoch.call { try $0.release() }
            #expect(evidence.map(\.overflowed) == [12, 0])
            #expect(evidence.map(\.held) == [8, 0])
            #expect(try await b.receiveNumbers(8) == Array(1...8))
        }

        @Test("A full socket is survived and counted")
        func socketOverrun() async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let b = try Guest("b", number: 2, on: desktop)
            // The smallest buffer that the kernel gives: a few packets.
            let gate = try GateFixture(on: desktop, receiveBuffer: 2_304)
            let epoch = try gate.arm([a, b])
            // The thread of the gate gets no time while the guest sends.
            let (turn, unblock) = try block(epoch, "a")
            try a.send(1...200, to: b)
            unblock()
            turn()
            #expect(try await epoch.hears { $0 == .broken(.socketOverrun(member: "a")) })
            let evidence = try #require(try epoch.call { try $0.release() }.first)
            #expect(evidence.held > 0)
            #expect(evidence.overflowed > 0)
            #expect(evidence.held + evidence.overflowed == 200)
            #expect(try await b.receiveNumbers(Int(evidence.held)).count == Int(evidence.held))
        }

        @Test("A foreign transaction on the packet filter is seen, with the process, and the rules' loss too")
        func foreignChange() async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let b = try Guest("b", number: 2, on: desktop)
            let gate = try GateFixture(on: desktop)
            let epoch = try gate.arm([a, b])
            try desktop.iptables("-A", "INPUT", "-p", "tcp", "--dport", "22", "-j", "ACCEPT")
            #expect(
                try await epoch.hears {
                    if case .broken(.foreignChange(let process)) = $0 { process.contains("iptables") } else { false }
                })
            let evidence = try epoch.call { try $0.release() }
            #expect(evidence.allSatisfy { $0.foreignChanges >= 1 })
            // Ours were untouched.
            #expect(evidence.allSatisfy { $0.unbroken })
            try epoch.call { $0.close() }

            let second = try gate.arm([a, b], epoch: 2)
            try desktop.iptables("-t", "raw", "-F", OwnChains.egress)
            #expect(try await second.hears { if case .broken(.foreignChange) = $0 { true } else { false } })
            let broken = try second.call { try $0.release() }
            #expect(broken.allSatisfy { $0.foreignChanges >= 1 && !$0.unbroken })
            #expect(try !desktop.rules().contains("NFQUEUE"))
        }

        @Test("Rules that somebody flushed with their chains are made again for the next epoch")
        func flushedBetweenEpochs() async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let b = try Guest("b", number: 2, on: desktop)
            let gate = try GateFixture(on: desktop)
            try desktop.iptables("-t", "raw", "-F")
            try desktop.iptables("-t", "raw", "-X")
            let epoch = try gate.arm([a, b])
            try a.send(1...3, to: b)
            #expect(try epoch.waiting().egress == 3)
            #expect(try epoch.call { try $0.release() }.allSatisfy(\.unbroken))
            #expect(try await b.receiveNumbers(3) == [1, 2, 3])
        }

        @Test("A tap that goes down takes its queue along, and that is seen")
        func tapDown() async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let b = try Guest("b", number: 2, on: desktop)
            let gate = try GateFixture(on: desktop)
            let epoch = try gate.arm([a, b])
            try a.send(1...3, to: b)
            try desktop.ip("link", "set", "tap1", "down")
            #expect(try await epoch.hears { $0 == .broken(.tapGone(member: "a", tap: "tap1")) })
            let evidence = try epoch.call { try $0.release() }
            #expect(evidence.map(\.unbroken) == [false, true])
            #expect(evidence[0].reasons.contains("3 packets that it held are gone"))
        }

        @Test("A tap that is deleted is seen, and the epoch can still be ended")
        func tapDeleted() async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let b = try Guest("b", number: 2, on: desktop)
            let gate = try GateFixture(on: desktop)
            let epoch = try gate.arm([a, b])
            try b.send(1...3, to: a)
            try desktop.ip("link", "del", "tap1")
            #expect(try await epoch.hears { $0 == .broken(.tapGone(member: "a", tap: "tap1")) })
            #expect(try epoch.call { try $0.release() }.map(\.unbroken) == [false, true])
            try epoch.call { $0.close() }
            #expect(try !desktop.rules().contains("NFQUEUE"))
        }

        @Test("A bridge that stops showing its packets to the filter lets them by, and that is seen")
        func switchTurnedOff() async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let gate = try GateFixture(on: desktop)
            let epoch = try gate.arm([a])
            try desktop.ip("link", "set", "br0", "type", "bridge", "nf_call_iptables", "0")
            let evidence = try epoch.call { try $0.release() }
            #expect(evidence.map(\.unbroken) == [false])
            #expect(try await epoch.hears { if case .broken(.queueLost) = $0 { true } else { false } })
        }

        @Test("A queue that is taken, a tap or bridge that is not there and a senseless plan are refused")
        func refusals() async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let b = try Guest("b", number: 2, on: desktop)
            let gate = try GateFixture(on: desktop)
            let before = try desktop.rules()
            let foreign = try desktop.run {
                try Unshared(PacketQueue(number: 7_101, length: 10, receiveBuffer: 65_536))
            }
            #expect(throws: GateError.queueTaken(7_101)) { try gate.open([a, b]) }
            #expect(foreign.value.number == 7_101)

            var plan = gate.plan([a, b])
            plan.members[0].nics[0].tap = "nosuchtap"
            #expect(throws: GateError.tapMissing("nosuchtap")) { try gate.open(plan) }
            plan = gate.plan([a, b])
            plan.members[0].nics[0].bridge = "tap1"
            #expect(throws: GateError.bridgeMissing("tap1")) { try gate.open(plan) }
            for name in ["tap+", "a b", "x\"", "-j", ""] {
                plan = gate.plan([a, b])
                plan.members[0].nics[0].tap = name
                #expect(throws: GateError.self) { try gate.open(plan) }
            }
            plan = gate.plan([a, b])
            plan.key = [1]
            #expect(throws: GateError.badPlan("the key has fewer than 16 octets")) { try gate.open(plan) }
            plan = gate.plan([a, b])
            plan.peers.removeFirst()
            #expect(throws: GateError.self) { try gate.open(plan) }

            // Nothing is left of any of them, and the numbers are free again.
            #expect(try desktop.rules().filterCounters == before.filterCounters)
            #expect(try desktop.link("br0").filtersIPv4 == false)
            #expect(try desktop.statistics().keys.sorted() == [7_101])
        }

        @Test("A second agent in one namespace, and a second epoch of one member, are refused")
        func exclusive() async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let b = try Guest("b", number: 2, on: desktop)
            let gate = try GateFixture(on: desktop)
            #expect(throws: GateError.alreadyRunning) { try GateFixture(on: desktop) }
            let epoch = try gate.arm([a, b])
            #expect(throws: GateError.self) { try gate.open([a, b], epoch: 2) }
            try epoch.call { $0.close() }
            let next = try gate.arm([a, b], epoch: 2)
            #expect(try next.call { try $0.release() }.allSatisfy(\.unbroken))
        }
    }
}

/// Hands one queue from the desktop's thread, which made it, to the test, which alone uses it.
// SAFETY: the desktop's thread does not keep it.
struct Unshared<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}

extension String {
    /// Saved rules without comments and counters.
    var filterCounters: [String] {
        split(separator: "\n").filter { !$0.hasPrefix("#") }.map { String($0.prefix { $0 != "[" }) }
    }
}
