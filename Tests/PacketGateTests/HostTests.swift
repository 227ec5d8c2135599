import Glibc
import Logging
import Packets
import Testing

@testable import PacketGate

extension GateTests {
    @Suite struct Host {
        @Test("Outside an epoch no packet goes to user space, also when one is opened and not armed")
        func nothingOutsideEpoch() async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let b = try Guest("b", number: 2, on: desktop)
            let gate = try GateFixture(on: desktop)
            try a.send(1...100, to: b)
            #expect(try await b.receiveNumbers(100) == Array(1...100))
            let epoch = try gate.open([a, b])
            #expect(try !desktop.rules().contains("NFQUEUE"))
            try a.send(1...100, to: b)
            #expect(try await b.receiveNumbers(100) == Array(1...100))
            try epoch.call { try $0.arm(.hold) }
            let evidence = try epoch.call { try $0.release() }
            try a.send(1...100, to: b)
            #expect(try await b.receiveNumbers(100) == Array(1...100))
            try epoch.call { $0.close() }
            try a.send(1...100, to: b)
            #expect(try await b.receiveNumbers(100) == Array(1...100))
            #expect(gate.gate.packetsOutsideEpoch == 0)
            #expect(evidence.allSatisfy { $0.packetsOutsideEpoch == 0 && $0.held == 0 })
        }

        @Test("A packet that reaches a queue while no gate is armed is counted and passed on")
        func countsOutside() async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let b = try Guest("b", number: 2, on: desktop)
            let gate = try GateFixture(on: desktop)
            let epoch = try gate.open([a, b])
            try desktop.iptables(
                "-t", "raw", "-A", OwnChains.egress, "-m", "physdev", "--physdev-in", "tap1", "-j", "NFQUEUE",
                "--queue-num", String(epoch.epoch.queueNumbers[0]))
            try a.send(1...3, to: b)
            #expect(try await b.receiveNumbers(3) == [1, 2, 3])
            #expect(gate.gate.packetsOutsideEpoch == 3)
        }

        @Test("Rules and switches that a killed agent left are swept; its traffic was never stopped")
        func sweepsStale() async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let b = try Guest("b", number: 2, on: desktop)
            let folder = try GateFixture.makeFolder()
            // What is in the kernel and on disk when an agent is killed in the middle of an epoch and a fence.
            try desktop.run {
                let filter = try PacketFilter()
                for _ in 0..<2 { try filter.apply(OwnChains.installation(raw: "", mangle: "")) }
                let rules = [OwnRule.egress(tap: "tap1", queue: 7_100), .ingress(tap: "tap1", queue: 7_101)]
                let colour = OwnRule.colouring(tap: "tap1") + [.plain(tap: "tap1")]
                try filter.apply(OwnChains.change("-A", (rules + colour).map(\.text)))
                let switches = try BridgeSwitches(stateDirectory: folder, logger: Logger(label: "test"))
                try switches.acquire(["br0"])
            }
            try desktop.iptables("-t", "raw", "-A", "PREROUTING", "-p", "udp", "--dport", "1", "-j", "ACCEPT")
            #expect(try desktop.rules().contains("--queue-num 7100 --queue-bypass"))
            #expect(try desktop.link("br0").filtersIPv4 == true)
            try a.send(1...3, to: b)
            #expect(try await b.receiveNumbers(3) == [1, 2, 3])

            let gate = try GateFixture(on: desktop, folder: folder)
            let rules = try desktop.rules()
            #expect(!rules.contains("NFQUEUE") && !rules.contains("--set-tos"))
            #expect(rules.contains("--dport 1 -j ACCEPT"))
            let jumps = rules.split(separator: "\n").filter { $0.contains("-j HOLDFAST") }
            #expect(jumps.count == 10, "\(rules)")
            #expect(try desktop.link("br0").filtersIPv4 == false)
            #expect(try desktop.link("br0").filtersIPv6 == false)
            let epoch = try gate.arm([a, b])
            try a.send(4...6, to: b)
            #expect(try epoch.waiting().egress == 3)
        }

        @Test("Bridge switches are on for an epoch, remembered on disk, and put back as they were")
        func switchesArePutBack() async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            try desktop.ip("link", "set", "br0", "type", "bridge", "nf_call_ip6tables", "1")
            let gate = try GateFixture(on: desktop)
            let path = gate.folder + "/bridge-switches"
            let epoch = try gate.open([a])
            #expect(try desktop.link("br0").filtersIPv4 == true)
            #expect(try desktop.link("br0").filtersIPv6 == true)
            #expect(try #require(SmallFile.read(path)).hasSuffix("\nbr0 0 1\n"))
            try desktop.run { [gate = gate.gate, mac = a.mac] in
                try gate.fence(hardwareAddresses: [mac], bridges: ["br0"])
            }
            try epoch.call { $0.close() }
            // The fence still needs them.
            #expect(try desktop.link("br0").filtersIPv4 == true)
            try desktop.run { [gate = gate.gate] in try gate.liftFence() }
            #expect(try desktop.link("br0").filtersIPv4 == false)
            #expect(try desktop.link("br0").filtersIPv6 == true)
            #expect(SmallFile.read(path) == nil)
        }

        @Test("What a reboot has made meaningless is not put back")
        func forgetsOtherBoots() throws {
            let desktop = try Desktop()
            let folder = try GateFixture.makeFolder()
            try SmallFile.replace(folder + "/bridge-switches", with: "another-boot\nbr0 1 1\n")
            let gate = try GateFixture(on: desktop, folder: folder)
            #expect(try desktop.link("br0").filtersIPv4 == false)
            #expect(SmallFile.read(gate.folder + "/bridge-switches") == nil)
        }

        @Test("After shutDown nothing is left, in the middle of an epoch too; traffic flows")
        func shutDownLeavesNothing() async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let b = try Guest("b", number: 2, on: desktop)
            try desktop.iptables("-t", "raw", "-A", "PREROUTING", "-p", "udp", "--dport", "1", "-j", "ACCEPT")
            let before = try desktop.command("/usr/sbin/iptables-nft-save", ["-t", "raw"])
            let gate = try GateFixture(on: desktop)
            let epoch = try gate.arm([a, b])
            try desktop.run { [gate = gate.gate, mac = b.mac] in
                try gate.fence(hardwareAddresses: [mac], bridges: ["br0"])
            }
            try a.send(1...5, to: b)
            try gate.shutDown()
            try gate.shutDown()
            #expect(try await b.receiveNumbers(5) == Array(1...5))
            let after = try desktop.command("/usr/sbin/iptables-nft-save", ["-t", "raw"])
            #expect(after.filterCounters == before.filterCounters)
            #expect(try !desktop.rules().contains("HOLDFAST"))
            #expect(try desktop.statistics() == [:])
            #expect(try desktop.link("br0").filtersIPv4 == false)
            #expect(throws: GateError.self) { try gate.open([a, b]) }
            #expect(throws: GateError.self) { try epoch.call { try $0.notePlace("a") } }
            // Another agent can start.
            #expect(throws: Never.self) { try GateFixture(on: desktop) }
        }

        @Test("A fence drops both families from its addresses and nothing else, until it is lifted")
        func fence() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let free = try Guest("free", number: 3, on: left)
            let gate = try GateFixture(on: right)
            try right.run { [gate = gate.gate, mac = a.mac] in
                try gate.fence(hardwareAddresses: [mac], bridges: ["br0"])
            }
            for kind in Guest.Kind.allCases { try a.send(1...1, kind, to: b) }
            // They come the same way and later.
            try free.send(2...2, to: b)
            try free.send(3...3, .tcp6, to: b)
            #expect(try await b.receiveNumbers(2) == [2, 3])
            try right.run { [gate = gate.gate] in try gate.liftFence() }
            try right.run { [gate = gate.gate] in try gate.liftFence() }
            try a.send(4...4, to: b)
            try a.send(5...5, .tcp6, to: b)
            #expect(try await b.receiveNumbers(2) == [4, 5])
        }

        @Test("Replayed frames reach the guest behind the tap, in order, also many of them while it is paused")
        func replay() async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let b = try Guest("b", number: 2, on: desktop)
            let gate = try GateFixture(on: desktop)
            let frames = try (UInt32(1)...2_500).map { number in
                try a.frame(Guest.Kind.allCases[Int(number) % Guest.Kind.allCases.count], to: b, number)
            }
            try desktop.run { [gate = gate.gate] in try gate.replay(frames: frames, into: "tap2") }
            #expect(try await b.receive(2_500) == frames)
            #expect(a.numbersNow() == [])
            #expect(throws: GateError.tapMissing("nosuch")) {
                try desktop.run { [gate = gate.gate] in try gate.replay(frames: frames, into: "nosuch") }
            }
        }

        @Test("What a log holds can be replayed: held, logged, and given to the receiver as it was sent")
        func logIsReplayable() async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let b = try Guest("b", number: 2, on: desktop)
            let gate = try GateFixture(on: desktop)
            let epoch = try gate.arm([a, b])
            let frame = try a.frame(.tcp4, to: b, 77)
            try a.send(frame)
            try epoch.call { epoch in
                epoch.beginCut("a")
                try epoch.notePlace("a")
                _ = try epoch.release()
                epoch.close()
            }
            #expect(try await b.receive(1) == [frame])
            let log = try epoch.log(of: "a").map(\.frame)
            try desktop.run { [gate = gate.gate] in try gate.replay(frames: log, into: "tap2") }
            #expect(try await b.receive(1) == [frame])
        }
    }
}
