import Packets
import Testing

@testable import PacketGate

extension GateTests {
    @Suite struct ColourMarkers {
        private func arrived(_ kind: Marker.Kind, bleached: Bool = false) -> GateEvent {
            .markerArrived(sender: "a", receiver: "b", kind: kind, bleached: bleached, beforeCut: true)
        }

        @Test("Probes and cut markers arrive with their colour, flush markers never had one, and cut markers count")
        func keepTheirColour() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gates = try [left, right].map { try GateFixture(on: $0) }
            let epochs = try gates.map { try $0.armColour([a, b]) }
            let wire = try WireCapture(on: right, port: "wireb")
            for kind in [Marker.Kind.flush, .probe] {
                try epochs[0].call { try $0.sendAllMarkers(kind) }
                #expect(try await epochs[1].hears { $0 == arrived(kind) })
            }
            let loop = try #require(epochs[1].epoch.gates["b"])
            #expect(loop.perform { $0.markers.missing(.cut) } == ["a"])
            try epochs[0].cut("a")
            // Nobody asks for those of other members.
            try epochs[0].call { try $0.sendMarkers(.cut, from: ["b"]) }
            try epochs[0].call { try $0.sendMarkers(.cut, from: ["a"]) }
            try epochs[0].call { try $0.sendMarkers(.cut, from: ["a"]) }
            #expect(try await epochs[1].hears { $0 == arrived(.cut) })
            #expect(try await wire.markers(4) == [0, 4, 4, 4])
            try a.send(1...1, to: b)
            #expect(try await b.receiveNumbers(1) == [1])
            let evidence = try epochs.map { try #require(try $0.call { try $0.release() }.first) }
            #expect(evidence[0].markersMissing == ["b"])
            #expect(evidence[1].markersMissing == [] && evidence[1].bleached == [])
            #expect(evidence[1].markersRejected == 0)
            #expect(epochs[1].events == [arrived(.flush), arrived(.probe), arrived(.cut)])
        }

        /// What came before shows no longer that the path kept the colour until the receiver was cut too.
        @Test("After its receiver's place a marker of a cut is told anew, and counts only then")
        func countAfterThePlace() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gates = try [left, right].map { try GateFixture(on: $0) }
            let epochs = try gates.map { try $0.armColour([a, b]) }
            try epochs[0].cut("a")
            try epochs[0].call { try $0.sendMarkers(.cut, from: ["a"]) }
            #expect(try await epochs[1].hears { $0 == arrived(.cut) })
            try epochs[1].cut("b")
            let loop = try #require(epochs[1].epoch.gates["b"])
            #expect(loop.perform { $0.markers.missing(.cut) } == ["a"])
            #expect(loop.perform { $0.markers.hasDrained("a") } == true)
            try epochs[0].call { try $0.sendMarkers(.cut, from: ["a"]) }
            let anew = GateEvent.markerArrived(
                sender: "a", receiver: "b", kind: .cut, bleached: false, beforeCut: false)
            #expect(try await epochs[1].hears { $0 == anew })
            #expect(loop.perform { $0.markers.missing(.cut) } == [])
            for epoch in epochs { _ = try epoch.call { try $0.release() } }
        }

        @Test("A path that bleaches is told at once, and again when only a later copy lost its colour")
        func bleached() async throws {
            let (left, middle, right) = (try Desktop(), try Desktop(), try Desktop())
            try left.join(middle, wire: "x")
            try middle.join(right, wire: "y")
            try middle.ip("link", "set", "br0", "type", "bridge", "nf_call_iptables", "1")
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gates = try [left, right].map { try GateFixture(on: $0) }
            let epochs = try gates.map { try $0.armColour([a, b]) }
            func send(_ kind: Marker.Kind) throws { try epochs[0].call { try $0.sendAllMarkers(kind) } }

            try send(.probe)
            #expect(try await epochs[1].hears { $0 == arrived(.probe) })
            let bleach = ["FORWARD", "-j", "TOS", "--set-tos", "0x00/0x04"]
            try middle.command("/usr/sbin/iptables-nft", ["-t", "mangle", "-A"] + bleach)
            try send(.probe)
            #expect(try await epochs[1].hears { $0 == arrived(.probe, bleached: true) })
            try send(.probe)
            try send(.flush)
            #expect(try await epochs[1].hears { $0 == arrived(.flush) })
            try send(.cut)
            #expect(try await epochs[1].hears { $0 == arrived(.cut, bleached: true) })
            // A copy that keeps its colour takes nothing back.
            try middle.command("/usr/sbin/iptables-nft", ["-t", "mangle", "-D"] + bleach)
            try send(.cut)
            try a.send(1...1, to: b)
            #expect(try await b.receiveNumbers(1) == [1])
            let evidence = try #require(try epochs[1].call { try $0.release() }.first)
            #expect(evidence.bleached == ["a"] && evidence.markersMissing == [])
            #expect(
                epochs[1].events == [
                    arrived(.probe), arrived(.probe, bleached: true), arrived(.flush), arrived(.cut, bleached: true),
                ])
        }

        @Test("Markers of another epoch are dropped and not believed, whatever their kind and colour")
        func otherEpoch() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gate = try GateFixture(on: right)
            let epoch = try gate.armColour([a, b], epoch: 5)
            for kind in Marker.Kind.allCases {
                for trafficClass in [0, Colour.bit] {
                    var frame = try MarkerSigner(epoch: 4, key: GateFixture.key).frame(
                        kind, sender: "a", receiver: "b", nicIndex: 0, source: a.mac, destination: b.mac)
                    var packet = try IPv4Packet(decoding: frame.dropFirst(14))
                    packet.typeOfService = trafficClass
                    frame = try Array(frame.prefix(14)) + packet.encode()
                    try a.send(frame)
                }
            }
            try a.send(1...1, to: b)
            #expect(try await b.receiveNumbers(1) == [1])
            let evidence = try #require(try epoch.call { try $0.release() }.first)
            #expect(evidence.markersRejected == 6 && evidence.markersMissing == ["a"] && evidence.bleached == [])
            #expect(epoch.events == [])
        }

        @Test(
            "Between members of one desktop no datagram is needed, and nothing bleaches",
            arguments: Marker.Kind.allCases)
        func withinOneDesktop(kind: Marker.Kind) async throws {
            let desktop = try Desktop()
            let guests = try (1...3).map { try Guest("g\($0)", number: UInt8($0), on: desktop) }
            let gate = try GateFixture(on: desktop)
            let epoch = try gate.armColour(guests)
            try epoch.call { try $0.sendMarkers(kind, from: ["g1", "g3"]) }
            for (sender, receiver) in [("g1", "g2"), ("g1", "g3"), ("g3", "g1"), ("g3", "g2")] {
                #expect(
                    try await epoch.hears {
                        $0
                            == .markerArrived(
                                sender: sender, receiver: receiver, kind: kind, bleached: false, beforeCut: true)
                    })
            }
            #expect(epoch.events.count == 4)
            let evidence = try epoch.call { try $0.release() }
            #expect(evidence[1].markersMissing == (kind == .cut ? [] : ["g1", "g3"]))
        }
    }
}

@Suite("Marker ledger")
struct MarkerLedgerTests {
    @Test("A channel is told when all pairs of NICs are in, bleached when any of them is")
    func pairs() {
        var ledger = MarkerLedger(receiver: "b", expected: ["a": [0, 1]])
        func told(bleached: Bool) -> GateEvent {
            .markerArrived(sender: "a", receiver: "b", kind: .probe, bleached: bleached, beforeCut: true)
        }
        #expect(ledger.note(.probe, from: "a", nicIndex: 0, isColoured: false) == nil)
        #expect(ledger.note(.probe, from: "a", nicIndex: 0, isColoured: true) == nil)
        #expect(ledger.note(.probe, from: "a", nicIndex: 2, isColoured: true) == nil)
        #expect(ledger.note(.probe, from: "x", nicIndex: 1, isColoured: true) == nil)
        #expect(ledger.missing(.probe) == ["a"])
        #expect(ledger.note(.probe, from: "a", nicIndex: 1, isColoured: true) == told(bleached: true))
        #expect(ledger.note(.probe, from: "a", nicIndex: 1, isColoured: false) == nil)
        #expect(ledger.missing(.probe) == [] && ledger.missing(.cut) == ["a"])
        #expect(ledger.bleached(.probe) == ["a"] && ledger.bleached(.cut) == [])
    }
}
