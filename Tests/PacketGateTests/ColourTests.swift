import Packets
import Testing

@testable import PacketGate

extension GateTests {
    @Suite struct InColour {
        /// With bits of differentiated services and of congestion notification, with and without the colour.
        static let trafficClasses: [UInt8] = [0x00, 0x04, 0x03, 0x01, 0xff, 0xfb, 0xb8]

        /// Every kind of packet with every traffic class, numbered from one.
        private func frames(from a: Guest, to b: Guest, _ change: (UInt8) -> UInt8 = { $0 }) throws -> [[UInt8]] {
            var frames: [[UInt8]] = []
            for kind in Guest.Kind.allCases {
                for trafficClass in Self.trafficClasses {
                    frames.append(
                        try a.frame(kind, to: b, UInt32(frames.count + 1), trafficClass: change(trafficClass)))
                }
            }
            return frames
        }

        @Test("Before the cut nothing is held, and the wire sees no colour, whatever bits the guest sets")
        func beforeTheCut() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gates = try [left, right].map { try GateFixture(on: $0) }
            let epochs = try gates.map { try $0.armColour([a, b], heeding: true) }
            let wires = [try WireCapture(on: right, port: "wireb"), try WireCapture(on: left, port: "wirea")]
            for (index, (sender, receiver)) in [(a, b), (b, a)].enumerated() {
                let plain = try frames(from: sender, to: receiver) { $0 & ~Colour.bit }
                for frame in try frames(from: sender, to: receiver) { try sender.send(frame) }
                // Octet for octet, so the header's checksum fits and no other bit was touched.
                #expect(try await receiver.receive(plain.count) == plain)
                #expect(try await wires[index].frames(plain.count) == plain)
            }
            for (epoch, name) in zip(epochs, ["a", "b"]) {
                #expect(try epoch.waiting() == (0, 0))
                #expect(epoch.events == [])
                let evidence = try #require(try epoch.call { try $0.release() }.first)
                #expect(evidence.unbroken && evidence.held == 0 && evidence.logged == 0)
                #expect(evidence.foreignChanges == 0 && evidence.overflowed == 0)
                #expect(try epoch.log(of: name) == [])
            }
        }

        @Test(
            "After the place the wire sees the colour, other bits and checksums right, and the receiver's tap does not")
        func afterThePlace() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let near = try Guest("near", number: 3, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gates = try [left, right].map { try GateFixture(on: $0) }
            let epochs = try gates.map { try $0.armColour([a, near, b]) }
            let wire = try WireCapture(on: right, port: "wireb")
            try epochs[0].cut("a")
            let coloured = try frames(from: a, to: b) { $0 | Colour.bit }
            for frame in try frames(from: a, to: b) { try a.send(frame) }
            #expect(try await wire.frames(coloured.count) == coloured)
            #expect(try await b.receive(coloured.count) == frames(from: a, to: b) { $0 & ~Colour.bit })
            // On the same bridge too.
            for frame in try frames(from: a, to: near) { try a.send(frame) }
            #expect(try await near.receive(coloured.count) == frames(from: a, to: near) { $0 & ~Colour.bit })
            let evidence = try epochs.flatMap { try $0.call { try $0.release() } }
            #expect(evidence.allSatisfy { $0.unbroken && $0.heldBeforeCut == 0 && $0.logged == 0 })
            // With the rules the colour goes.
            try a.send(900...901, to: b)
            #expect(try await b.receive(2).map(trafficClass) == [0, 0])
            #expect(try await wire.frames(coloured.count + 2).suffix(2).map(trafficClass) == [0, 0])
        }

        @Test("The mark with which another rule of the host marks packets is kept, and the gate's own goes no further")
        func marksOfOthers() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gate = try GateFixture(on: left)
            try left.iptables(
                "-t", "raw", "-I", "PREROUTING", "1", "-p", "tcp", "-j", "MARK", "--set-mark", "0x5")
            let epoch = try gate.armColour([a, b])
            // What has a mark that it should not have is lost.
            for (kind, mark) in [("tcp", "0x5"), ("udp", "0x0")] {
                try left.iptables(
                    "-t", "mangle", "-A", "FORWARD", "-p", kind, "-m", "mark", "!", "--mark", mark, "-j", "DROP")
            }
            try epoch.cut("a")
            for number in UInt32(1)...40 { try a.send(a.frame(number % 3 == 0 ? .tcp4 : .udp4, to: b, number)) }
            let received = try await b.receive(40)
            #expect(received.map(Guest.number) == Array(1...40))
            #expect(received.allSatisfy { trafficClass(of: $0) == Colour.bit })
        }

        @Test("Coloured segments wait for the cut of their receiver; uncoloured ones that come later are logged")
        func receiver() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let c = try Guest("c", number: 3, on: left)
            let stranger = try Guest("stranger", number: 9, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gates = try [left, right].map { try GateFixture(on: $0) }
            let epochs = try gates.map { try $0.armColour([a, b, c], heeding: true) }
            let epoch = epochs[1]
            try epochs[0].cut("a")

            try a.send(1...3, to: b)
            try c.send(4...4, to: b)
            // A stranger may set what it likes.
            try stranger.send(5...5, to: b, trafficClass: 0xff)
            // Each sender has a gate of its own, or none: only a channel has an order.
            #expect(try await b.receiveNumbers(2).sorted() == [4, 5])
            #expect(try await eventually { try epoch.waiting().ingress == 3 })
            #expect(try await epoch.hears { $0 == .colourArrived(member: "b") })

            epoch.epoch.beginCut("b")
            try c.send(6...6, .tcp6, to: b)
            #expect(try await eventually { try epoch.waiting().ingress == 4 })
            try a.send(7...7, .tcp6, to: b)
            #expect(try await eventually { try epoch.waiting().ingress == 5 })
            try stranger.send(8...8, to: b)
            #expect(try await eventually { try epoch.waiting().ingress == 6 })
            #expect(b.numbersNow() == [])
            try epoch.call { try $0.notePlace("b") }
            #expect(try await b.receiveNumbers(6) == [1, 2, 3, 6, 7, 8])

            try c.send(9...9, to: b)
            try a.send(10...10, to: b)
            try stranger.send(11...11, to: b)
            try stranger.send(12...12, to: b, trafficClass: 0xff)
            #expect(try await b.receiveNumbers(4).sorted() == [9, 10, 11, 12])
            epoch.epoch.stopLateLog()
            try c.send(13...13, to: b)
            try a.send(14...14, to: b)
            #expect(try await b.receiveNumbers(2).sorted() == [13, 14])
            let evidence = try #require(try epoch.call { try $0.release() }.first)
            #expect(evidence.unbroken)
            #expect(evidence.held == 4 && evidence.heldBeforeCut == 0 && evidence.logged == 2)
            #expect(try epoch.log(of: "b").map(\.frame) == [c.frame(.tcp6, to: b, 6), c.frame(to: b, 9)])
            #expect(epoch.events == [.colourArrived(member: "b")])
        }

        @Test("The same between members of one desktop")
        func oneDesktop() async throws {
            let desktop = try Desktop()
            let guests = try (1...3).map { try Guest("g\($0)", number: UInt8($0), on: desktop) }
            let gate = try GateFixture(on: desktop)
            let epoch = try gate.armColour(guests, heeding: true)
            try epoch.cut("g1")
            try guests[0].send(1...2, to: guests[1])
            try guests[2].send(3...3, to: guests[1])
            try guests[1].send(4...4, to: guests[0])
            #expect(try await guests[1].receiveNumbers(1) == [3])
            #expect(try await guests[0].receiveNumbers(1) == [4])
            #expect(try await epoch.hears { $0 == .colourArrived(member: "g2") })
            try epoch.cut("g2")
            #expect(try await guests[1].receiveNumbers(2) == [1, 2])
            try guests[2].send(5...5, to: guests[1])
            try epoch.cut("g3")
            try guests[2].send(6...6, to: guests[1])
            #expect(try await guests[1].receiveNumbers(2) == [5, 6])
            let evidence = try epoch.call { try $0.release() }
            #expect(evidence.map(\.held) == [0, 2, 0])
            #expect(try epoch.log(of: "g1").map { Guest.number(of: $0.frame) } == [4])
            #expect(try epoch.log(of: "g2").map { Guest.number(of: $0.frame) } == [5])
            #expect(try epoch.log(of: "g3") == [])
        }

        @Test("Colour that is not heeded yet holds nothing and triggers nothing")
        func notHeeded() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gate = try GateFixture(on: right)
            let epoch = try gate.armColour([a, b])
            // No gate clears on the left: as what an epoch coloured that was given up, or a guest's own bits.
            try a.send(1...5, to: b, trafficClass: Colour.bit)
            #expect(try await b.receiveNumbers(5) == Array(1...5))
            // Also what has come, and is not taken yet, when colour begins to be heeded.
            let (turn, unblock) = try block(epoch, "b")
            try a.send(6...9, to: b, trafficClass: Colour.bit)
            #expect(try await eventually { try epoch.waiting().ingress == 4 })
            let heeds = Task.detached { epoch.epoch.heedColour() }
            unblock()
            turn()
            await heeds.value
            #expect(try await b.receiveNumbers(4) == Array(6...9))
            #expect(epoch.events == [])
            try a.send(10...10, to: b, trafficClass: Colour.bit)
            #expect(try await epoch.hears { $0 == .colourArrived(member: "b") })
            #expect(b.numbersNow() == [])
            #expect(try #require(try epoch.call { try $0.release() }.first).held == 1)
        }

        @Test("A cut that fails keeps coloured segments waiting; a release lets all go, in order")
        func cancelledCut() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let c = try Guest("c", number: 3, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gate = try GateFixture(on: right)
            let epoch = try gate.armColour([a, b, c], heeding: true)
            epoch.epoch.beginCut("b")
            for number in UInt32(1)...8 {
                try (number % 2 == 0 ? a : c).send(
                    number...number, to: b, trafficClass: number % 2 == 0 ? Colour.bit : 0)
            }
            #expect(try await eventually { try epoch.waiting().ingress == 8 })
            #expect(epoch.events == [])
            epoch.epoch.cancelCut("b")
            #expect(try await b.receiveNumbers(4) == [1, 3, 5, 7])
            #expect(try await epoch.hears { $0 == .colourArrived(member: "b") })
            #expect(try epoch.waiting().ingress == 4)
            try c.send(9...9, to: b)
            #expect(try await b.receiveNumbers(1) == [9])
            let evidence = try #require(try epoch.call { try $0.release() }.first)
            #expect(try await b.receiveNumbers(4) == [2, 4, 6, 8])
            #expect(try epoch.waiting() == (0, 0))
            #expect(evidence.held == 4 && evidence.logged == 0 && evidence.unbroken)
        }
    }
}
