import Packets
import Testing

@testable import PacketGate

extension GateTests {
    @Suite struct Markers {
        /// Everything that has come to a guest up to a last frame of ours that came the same way.
        private func sentinel(_ sender: Guest, _ receiver: Guest) async throws -> [UInt32] {
            try sender.send(9_999...9_999, to: receiver)
            var numbers: [UInt32] = []
            _ = try await eventually {
                numbers += receiver.numbersNow()
                return numbers.contains(9_999)
            }
            return numbers
        }

        @Test("Markers cross the wire between desktops, both ways, and reach no guest")
        func acrossDesktops() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let (leftGate, rightGate) = (try GateFixture(on: left), try GateFixture(on: right))
            let leftEpoch = try leftGate.arm([a, b], epoch: 77)
            let rightEpoch = try rightGate.arm([a, b], epoch: 77)
            try leftEpoch.call { try $0.sendAllMarkers(.flush) }
            try rightEpoch.call { try $0.sendAllMarkers(.flush) }
            #expect(
                try await rightEpoch.hears {
                    $0 == .markerArrived(sender: "a", receiver: "b", kind: .flush, bleached: false, beforeCut: true)
                })
            #expect(
                try await leftEpoch.hears {
                    $0 == .markerArrived(sender: "b", receiver: "a", kind: .flush, bleached: false, beforeCut: true)
                })
            // Sent again they are taken out again and told once.
            try leftEpoch.call { try $0.sendAllMarkers(.flush) }
            let evidence =
                try leftEpoch.call { try $0.release() } + rightEpoch.call { try $0.release() }
            #expect(evidence.allSatisfy { $0.markersMissing == [] && $0.markersRejected == 0 && $0.unbroken })
            #expect(try await sentinel(a, b) == [9_999])
            #expect(try await sentinel(b, a) == [9_999])
            #expect(
                rightEpoch.events == [
                    .markerArrived(sender: "a", receiver: "b", kind: .flush, bleached: false, beforeCut: true)
                ])
        }

        @Test("A marker comes after every segment that was emitted before it")
        func markersFollowSegments() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let (leftGate, rightGate) = (try GateFixture(on: left), try GateFixture(on: right))
            let rightEpoch = try rightGate.arm([a, b])
            let leftEpoch = try leftGate.open([a, b])
            try a.send(1...400, to: b)
            try leftEpoch.call { try $0.arm(.hold) }
            try leftEpoch.call { try $0.sendAllMarkers(.flush) }
            #expect(
                try await rightEpoch.hears {
                    $0 == .markerArrived(sender: "a", receiver: "b", kind: .flush, bleached: false, beforeCut: true)
                })
            // Nothing more can come: all of them are there now.
            #expect(b.numbersNow() == Array(1...400))
        }

        @Test("Between members of one desktop the channel is proven flushed without a datagram")
        func withinOneDesktop() async throws {
            let desktop = try Desktop()
            let guests = try (1...3).map { try Guest("g\($0)", number: UInt8($0), on: desktop) }
            let gate = try GateFixture(on: desktop)
            let epoch = try gate.arm(guests)
            try epoch.call { try $0.sendAllMarkers(.flush) }
            for sender in guests {
                for receiver in guests where receiver !== sender {
                    #expect(
                        try await epoch.hears {
                            $0
                                == .markerArrived(
                                    sender: sender.name, receiver: receiver.name, kind: .flush, bleached: false,
                                    beforeCut: true)
                        })
                }
            }
            let evidence = try epoch.call { try $0.release() }
            #expect(evidence.allSatisfy { $0.markersMissing == [] })
            #expect(try await sentinel(guests[0], guests[1]) == [9_999])
        }

        @Test("Three desktops in a row: markers are flooded and known, and only their receiver counts them")
        func threeDesktops() async throws {
            let (left, middle, right) = (try Desktop(), try Desktop(), try Desktop())
            try left.join(middle, wire: "x")
            try middle.join(right, wire: "y")
            let guests = [
                try Guest("a", number: 1, on: left), try Guest("b", number: 2, on: middle),
                try Guest("c", number: 3, on: right), try Guest("d", number: 4, on: right),
            ]
            // One bridge has forgotten where everybody is: it sends to all.
            try middle.ip("link", "set", "br0", "type", "bridge", "fdb_flush")
            let gates = try [left, middle, right].map { try GateFixture(on: $0) }
            let epochs = try gates.map { try $0.arm(guests) }
            for epoch in epochs { try epoch.call { try $0.sendAllMarkers(.flush) } }
            for receiver in guests {
                let epoch = epochs[receiver === guests[0] ? 0 : receiver === guests[1] ? 1 : 2]
                for sender in guests where sender !== receiver {
                    #expect(
                        try await epoch.hears {
                            $0
                                == .markerArrived(
                                    sender: sender.name, receiver: receiver.name, kind: .flush, bleached: false,
                                    beforeCut: true)
                        },
                        "\(sender.name) > \(receiver.name)")
                }
            }
            let evidence = try epochs.flatMap { try $0.call { try $0.release() } }
            #expect(evidence.allSatisfy { $0.markersRejected == 0 && $0.markersMissing == [] && $0.unbroken })
            #expect(try await sentinel(guests[0], guests[3]) == [9_999])
        }

        @Test("Forged markers and those of another epoch are dropped, counted and not believed")
        func forged() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gate = try GateFixture(on: right)
            let epoch = try gate.arm([a, b], epoch: 5)
            func frame(epoch: UInt64, key: [UInt8], sender: String = "a") throws -> [UInt8] {
                try MarkerSigner(epoch: epoch, key: key).frame(
                    .flush, sender: sender, receiver: "b", nicIndex: 0, source: a.mac, destination: b.mac)
            }
            try a.send(frame(epoch: 5, key: [UInt8](repeating: 8, count: 32)))
            try a.send(frame(epoch: 4, key: GateFixture.key))
            var damaged = try frame(epoch: 5, key: GateFixture.key)
            damaged[damaged.count - 1] ^= 1
            try a.send(damaged)
            // A marker's port and magic, and nothing behind them.
            let stump = try UDPDatagram(sourcePort: 1, destinationPort: Marker.port, payload: Marker.magic[...])
                .encode(source: .v4(a.ipv4), destination: .v4(b.ipv4))
            try a.send(
                EthernetFrame(
                    destination: b.mac, source: a.mac, etherType: EthernetFrame.EtherType.ipv4,
                    payload: IPv4Packet(
                        source: a.ipv4, destination: b.ipv4, protocolNumber: TransportProtocol.udp, payload: stump[...]
                    ).encode()[...]
                ).encoded)
            // Authentic, but of no member.
            try a.send(frame(epoch: 5, key: GateFixture.key, sender: "nobody"))
            #expect(try await sentinel(a, b) == [9_999])
            #expect(epoch.events == [])
            // The same with the right key and epoch is believed.
            try a.send(frame(epoch: 5, key: GateFixture.key))
            #expect(
                try await epoch.hears {
                    $0 == .markerArrived(sender: "a", receiver: "b", kind: .flush, bleached: false, beforeCut: true)
                })
            let evidence = try #require(try epoch.call { try $0.release() }.first)
            #expect(evidence.markersRejected == 5)
            #expect(evidence.markersMissing == [])
        }

        @Test("After a channel's marker nothing of it is logged as late")
        func markerEndsRecording() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gate = try GateFixture(on: right)
            let epoch = try gate.arm([a, b])
            epoch.epoch.beginCut("b")
            try epoch.call { try $0.notePlace("b") }
            try a.send(1...1, to: b)
            try a.send(
                MarkerSigner(epoch: 1, key: GateFixture.key).frame(
                    .flush, sender: "a", receiver: "b", nicIndex: 0, source: a.mac, destination: b.mac))
            try a.send(2...2, to: b)
            #expect(try await b.receiveNumbers(2) == [1, 2])
            _ = try epoch.call { try $0.release() }
            #expect(try epoch.log(of: "b").map { Guest.number(of: $0.frame) } == [1])
        }

        @Test("A member with two NICs is held on both, and its channel is flushed when both markers are in")
        func twoNICs() async throws {
            let (left, right) = try joinedDesktops()
            for desktop in [left, right] {
                try desktop.ip("link", "add", "br1", "type", "bridge", "mcast_snooping", "0", "forward_delay", "0")
                try desktop.ip("link", "set", "br1", "up")
            }
            try left.join(right, wire: "second", bridge: "br1")
            // Each NIC is played by a guest of its own.
            let a = [try Guest("a", number: 1, on: left), try Guest("a", number: 3, on: left, bridge: "br1")]
            let b = [try Guest("b", number: 2, on: right), try Guest("b", number: 4, on: right, bridge: "br1")]
            let gates = [try GateFixture(on: left), try GateFixture(on: right)]
            let epochs = try zip(gates, [a, b]).map { gate, guests in
                try gate.open(
                    EpochPlan(
                        epoch: 3, key: GateFixture.key,
                        members: [GatedMember(name: guests[0].name, nics: guests.map(\.nic))],
                        peers: (a + b).map { PeerNIC(member: $0.name, mac: $0.mac) }, holdBudget: .seconds(60)))
            }
            for epoch in epochs { try epoch.call { try $0.arm(.hold) } }
            try a[0].send(1...2, to: b[0])
            try a[1].send(3...4, .tcp6, to: b[1])
            #expect(try epochs[0].waiting().egress == 4)

            // One of two markers is not enough: the second is only sent when the first has been taken.
            let signer = MarkerSigner(epoch: 3, key: GateFixture.key)
            let loop = try #require(epochs[1].epoch.gates["b"])
            let first = try signer.frame(
                .flush, sender: "a", receiver: "b", nicIndex: 0, source: a[0].mac, destination: b[0].mac)
            let stranger = try Guest("stranger", number: 9, on: left)
            try stranger.send(first)
            try stranger.send(8...8, to: b[0])
            #expect(try await b[0].receiveNumbers(1) == [8])
            #expect(loop.perform { $0.markers.missing(.flush) } == ["a"])
            try epochs[0].call { try $0.sendAllMarkers(.flush) }
            #expect(
                try await epochs[1].hears {
                    $0 == .markerArrived(sender: "a", receiver: "b", kind: .flush, bleached: false, beforeCut: true)
                })
            try epochs[0].call { epoch in
                epoch.beginCut("a")
                try epoch.notePlace("a")
            }
            let evidence = try epochs.flatMap { try $0.call { try $0.release() } }
            #expect(evidence.map(\.held) == [4, 0])
            #expect(evidence[1].markersMissing == [])
            #expect(try epochs[0].log(of: "a").map(\.frame).count == 4)
            #expect(try await b[0].receiveNumbers(2) == [1, 2])
            #expect(try await b[1].receiveNumbers(2) == [3, 4])
        }
    }
}
