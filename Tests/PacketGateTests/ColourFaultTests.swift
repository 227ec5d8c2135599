import Glibc
import NIOConcurrencyHelpers
import Packets
import Testing

@testable import PacketGate

extension GateTests {
    @Suite struct ColourFaults {
        @Test("Falling back holds from then on, changes no rule, and is refused after a place")
        func fallBack() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gates = try [left, right].map { try GateFixture(on: $0) }
            let epochs = try gates.map { try $0.armColour([a, b]) }
            let epoch = epochs[0]
            try a.send(1...3, to: b)
            #expect(try await b.receiveNumbers(3) == [1, 2, 3])
            #expect(throws: GateError.self) { try epoch.call { try $0.arm(.colour) } }
            let before = try left.rules().filterCounters
            let loop = try #require(epoch.epoch.gates["a"])
            loop.perform { $0.deadline = nil }
            for epoch in epochs { try epoch.call { try $0.arm(.hold) } }
            #expect(try left.rules().filterCounters == before)
            #expect(loop.perform { $0.deadline != nil } == true)
            #expect(throws: GateError.self) { try epoch.call { try $0.arm(.hold) } }
            #expect(throws: GateError.self) { try epoch.call { try $0.arm(.colour) } }

            try a.send(4...6, to: b)
            #expect(try epoch.waiting().egress == 3)
            for epoch in epochs { try epoch.call { try $0.sendAllMarkers(.flush) } }
            #expect(
                try await epochs[1].hears {
                    $0 == .markerArrived(sender: "a", receiver: "b", kind: .flush, bleached: false, beforeCut: true)
                })
            try epoch.cut("a")
            try epochs[1].cut("b")
            try a.send(7...8, to: b)
            #expect(try epoch.waiting().egress == 5)
            #expect(b.numbersNow() == [])
            let evidence = try epochs.map { try #require(try $0.call { try $0.release() }.first) }
            let received = try await b.receive(5)
            #expect(received.map(Guest.number) == Array(4...8))
            #expect(received.allSatisfy { trafficClass(of: $0) == 0 })
            #expect(evidence[0].held == 5 && evidence[0].heldBeforeCut == 3 && evidence[0].logged == 3)
            #expect(evidence[1].markersMissing == [] && evidence[1].logged == 0)
            #expect(evidence.allSatisfy { $0.unbroken && $0.foreignChanges == 0 })
            for epoch in epochs { try epoch.call { $0.close() } }

            let next = try gates[0].armColour([a, b], epoch: 2)
            try next.cut("a")
            #expect(throws: GateError.self) { try next.call { try $0.arm(.hold) } }
            try a.send(9...9, to: b)
            #expect(try await b.receive(1).map(trafficClass) == [Colour.bit])
        }

        @Test("Falling back delivers what coloured segments waited")
        func fallBackDelivers() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gate = try GateFixture(on: right)
            let epoch = try gate.armColour([a, b], heeding: true)
            try a.send(1...2, to: b, trafficClass: Colour.bit)
            #expect(try await eventually { try epoch.waiting().ingress == 2 })
            try epoch.call { try $0.arm(.hold) }
            #expect(try await b.receiveNumbers(2) == [1, 2])
            try a.send(3...3, to: b, trafficClass: Colour.bit)
            #expect(try await b.receiveNumbers(1) == [3])
        }

        @Test(
            "When the budget of colour mode is spent, or that of holding after a fall back, all is let go",
            arguments: [
                false, true,
            ])
        func watchdog(afterFallBack: Bool) async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gate = try GateFixture(on: right)
            let (long, short) = (Duration.seconds(600), Duration.milliseconds(300))
            let epoch = try gate.open(
                gate.plan([a, b], budget: afterFallBack ? short : long, colourBudget: afterFallBack ? long : short))
            try epoch.call { try $0.arm(.colour) }
            epoch.epoch.heedColour()
            try a.send(1...4, to: b, trafficClass: Colour.bit)
            #expect(try await epoch.hears { $0 == .colourArrived(member: "b") })
            if afterFallBack {
                try epoch.call { try $0.arm(.hold) }
                try b.send(1...4, to: a)
                #expect(try await a.receiveNumbers(4) == Array(1...4))
            }
            #expect(try await b.receiveNumbers(4) == Array(1...4))
            #expect(try await epoch.hears { $0 == .broken(.watchdog(member: "b")) })
            // One table after the other.
            #expect(
                try await eventually {
                    let rules = try right.rules()
                    return !rules.contains("--set-tos") && !rules.contains("NFQUEUE")
                })
            #expect(throws: GateError.self) { try epoch.call { try $0.notePlace("b") } }
            try a.send(5...6, to: b, trafficClass: Colour.bit)
            #expect(try await b.receiveNumbers(2) == [5, 6])
            let evidence = try #require(try epoch.call { try $0.release() }.first)
            #expect(evidence.watchdogFired && !evidence.unbroken)
        }

        @Test(
            "When the agent's queues are gone traffic flows, without colour; the next agent sweeps; then nothing is left"
        )
        func killedAgent() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let before = try left.rules().filterCounters.filter { $0.contains("-A") || $0.contains("HOLDFAST") }
            let gate = try GateFixture(on: left)
            let epoch = try gate.armColour([a, b], heeding: true)
            try epoch.cut("a")
            // As when the process ends: the sockets close, the rules stay.
            try #require(epoch.epoch.gates["a"]).end()
            #expect(try left.rules().contains("NFQUEUE"))
            for (sender, receiver) in [(a, b), (b, a)] {
                try sender.send(1...5, to: receiver, trafficClass: Colour.bit)
                try sender.send(6...9, .tcp6, to: receiver)
                let received = try await receiver.receive(9)
                #expect(received.map(Guest.number) == Array(1...9))
                #expect(received.allSatisfy { trafficClass(of: $0) == 0 })
            }
            #expect(try epoch.call { try $0.release() }.map(\.unbroken) == [false])
            try epoch.call { $0.close() }
            #expect(try !left.rules().contains("--set-tos"))
            try gate.shutDown()
            let after = try left.rules().filterCounters.filter { $0.contains("-A") || $0.contains("HOLDFAST") }
            #expect(after == before)
        }

        @Test(
            "Rules of colour that somebody takes away are missed at the release",
            arguments: [
                OwnChains.colour, OwnChains.plain,
            ])
        func rulesTaken(chain: String) async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let b = try Guest("b", number: 2, on: desktop)
            let gate = try GateFixture(on: desktop)
            let epoch = try gate.armColour([a, b])
            try desktop.iptables("-t", "mangle", "-D", chain, "1")
            #expect(try await epoch.hears { if case .broken(.foreignChange) = $0 { true } else { false } })
            #expect(try epoch.call { try $0.release() }.allSatisfy { !$0.unbroken })
            #expect(try !desktop.rules().contains("--set-tos") && !desktop.rules().contains("NFQUEUE"))
            // Nor is anything left of the chains when somebody has taken one with its jump.
            try epoch.call { $0.close() }
            try desktop.iptables("-t", "mangle", "-F", "POSTROUTING")
            let next = try gate.armColour([a, b], epoch: 2)
            #expect(try next.call { try $0.release() }.allSatisfy(\.unbroken))
        }

        @Test("An older set of chains is completed and what is in it stays")
        func olderChains() throws {
            let desktop = try Desktop()
            let gate = try GateFixture(on: desktop)
            let a = try Guest("a", number: 1, on: desktop)
            try desktop.run { [gate = gate.gate, mac = a.mac] in
                try gate.fence(hardwareAddresses: [mac], bridges: ["br0"])
            }
            for (from, chain) in [("PREROUTING", OwnChains.colour), ("POSTROUTING", OwnChains.plain)] {
                try desktop.iptables("-t", "mangle", "-D", from, "-j", chain)
                try desktop.iptables("-t", "mangle", "-X", chain)
            }
            try desktop.iptables("-t", "raw", "-D", "PREROUTING", "-j", OwnChains.egress)
            _ = try gate.open([a])
            let rules = try desktop.rules()
            #expect(rules.split(separator: "\n").filter { $0.contains("-j HOLDFAST") }.count == 10, "\(rules)")
            #expect(rules.contains("-A \(OwnChains.fence) -m mac"))
            // The fence comes first in both families.
            let jumps = rules.split(separator: "\n").filter { $0.hasPrefix("-A PREROUTING -j HOLDFAST") }
            let raw = jumps.filter { !$0.hasSuffix(OwnChains.colour) }.map { $0.split(separator: " ").last }
            #expect(raw == [OwnChains.fence[...], OwnChains.egress[...], OwnChains.fence[...], OwnChains.egress[...]])
        }

        @Test("A full queue is seen in colour mode too, on both sides")
        func overflow() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gates = try [left, right].map { try GateFixture(on: $0, queueLength: 8) }
            let epochs = try gates.map { try $0.armColour([a, b], heeding: true) }
            let (turn, unblock) = try block(epochs[0], "a")
            try a.send(1...20, to: b)
            unblock()
            turn()
            #expect(try await epochs[0].hears { $0 == .broken(.overflow(member: "a")) })
            #expect(try await b.receiveNumbers(8) == Array(1...8))
            try epochs[0].cut("a")
            for number in UInt32(21)...40 {
                try a.send(number...number, to: b)
                // So that only the receiver's queue fills.
                #expect(try await eventually { try epochs[0].waiting().egress == 0 })
            }
            #expect(try await epochs[1].hears { $0 == .broken(.overflow(member: "b")) })
            let evidence = try epochs.map { try #require(try $0.call { try $0.release() }.first) }
            #expect(evidence.map(\.overflowed) == [12, 12])
            #expect(evidence.map(\.held) == [0, 8])
            #expect(try await b.receiveNumbers(8) == Array(21...28))
        }
    }
}
