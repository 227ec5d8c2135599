import Glibc
import Packets
import Testing

@testable import PacketGate

extension GateTests {
    @Suite struct Hold {
        @Test("Segments are held in the kernel and let go in the order of their emission, in both families")
        func holdsInOrder() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gate = try GateFixture(on: left)
            try a.send(1...3, to: b)
            #expect(try await b.receiveNumbers(3) == [1, 2, 3])

            let epoch = try gate.arm([a, b])
            for number in UInt32(10)..<310 {
                let kind = Guest.Kind.allCases[Int(number) % Guest.Kind.allCases.count]
                try a.send(try a.frame(kind, to: b, number))
            }
            // A write to a tap ends when the packet is queued: all of them are there, and none beyond the gate.
            #expect(try epoch.waiting().egress == 300)
            let evidence = try #require(try epoch.call { try $0.release() }.first)
            #expect(try await b.receiveNumbers(300) == Array(10..<310))
            #expect(evidence.held == 300)
            #expect(evidence.unbroken)
            #expect(evidence.reasons == [])
            #expect(evidence.overflowed == 0 && evidence.foreignChanges == 0 && !evidence.watchdogFired)
            #expect(evidence.holdTime > 0 && evidence.armedAt < evidence.releasedAt)
            #expect(try !left.rules().contains("NFQUEUE"))

            try a.send(400...402, to: b)
            #expect(try await b.receiveNumbers(3) == [400, 401, 402])
        }

        @Test("Both families of one tap are gated", arguments: Guest.Kind.allCases)
        func holdsEachKind(_ kind: Guest.Kind) async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let b = try Guest("b", number: 2, on: desktop)
            let gate = try GateFixture(on: desktop)
            let epoch = try gate.arm([a, b])
            let frame = try a.frame(kind, to: b, 5)
            try a.send(frame)
            #expect(try epoch.waiting().egress == 1)
            _ = try epoch.call { try $0.release() }
            #expect(try await b.receive(1) == [frame])
        }

        @Test("Between two members on one desktop both are gated")
        func holdsWithinOneDesktop() async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let b = try Guest("b", number: 2, on: desktop)
            let gate = try GateFixture(on: desktop)
            let epoch = try gate.arm([a, b])
            try a.send(1...20, to: b)
            try b.send(101...120, to: a)
            #expect(try epoch.waiting().egress == 40)
            #expect(a.numbersNow() == [] && b.numbersNow() == [])
            let evidence = try epoch.call { try $0.release() }
            #expect(evidence.map(\.member) == ["a", "b"])
            #expect(evidence.map(\.held) == [20, 20])
            #expect(try await b.receiveNumbers(20) == Array(1...20))
            #expect(try await a.receiveNumbers(20) == Array(101...120))
        }

        @Test("A guest that is no member is not held, nor is what it sends to a member")
        func leavesOthersAlone() async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let other = try Guest("other", number: 2, on: desktop)
            let gate = try GateFixture(on: desktop)
            let epoch = try gate.arm([a])
            try other.send(1...5, to: a)
            #expect(try await a.receiveNumbers(5) == Array(1...5))
            try a.send(6...7, to: other)
            #expect(try epoch.waiting().egress == 2)
            epoch.epoch.beginCut("a")
            try epoch.call { try $0.notePlace("a") }
            let evidence = try #require(try epoch.call { try $0.release() }.first)
            #expect(try await other.receiveNumbers(2) == [6, 7])
            // What goes to others is outside the cluster.
            #expect(evidence.heldBeforeCut == 2)
            #expect(try epoch.log(of: "a") == [])
        }

        @Test("Two epochs of different clusters on one desktop do not disturb each other")
        func twoEpochs() async throws {
            let desktop = try Desktop()
            let guests = try (1...4).map { try Guest("g\($0)", number: UInt8($0), on: desktop) }
            let gate = try GateFixture(on: desktop)
            let first = try gate.arm([guests[0], guests[1]])
            let second = try gate.arm([guests[2], guests[3]], epoch: 9)
            try guests[0].send(1...3, to: guests[1])
            try guests[2].send(4...6, to: guests[3])
            let evidence = try first.call { try $0.release() }
            first.epoch.close()
            #expect(evidence.allSatisfy { $0.unbroken && $0.foreignChanges == 0 })
            #expect(try await guests[1].receiveNumbers(3) == [1, 2, 3])
            #expect(try second.waiting().egress == 3)
            #expect(try second.call { try $0.release() }.allSatisfy { $0.unbroken && $0.foreignChanges == 0 })
            #expect(try await guests[3].receiveNumbers(3) == [4, 5, 6])
        }

        @Test("Closing an armed epoch lets everything go, any number of times")
        func closeOpens() async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let b = try Guest("b", number: 2, on: desktop)
            let gate = try GateFixture(on: desktop)
            let epoch = try gate.arm([a, b])
            try a.send(1...9, to: b)
            try epoch.call { $0.close() }
            try epoch.call { $0.close() }
            #expect(try await b.receiveNumbers(9) == Array(1...9))
            #expect(try !desktop.rules().contains("NFQUEUE"))
            #expect(try desktop.statistics() == [:])
            #expect(throws: GateError.self) { try epoch.call { try $0.release() } }
            #expect(throws: GateError.self) { try epoch.call { try $0.arm(.hold) } }
        }

        @Test("A guest that goes on sending while its gate opens loses nothing")
        func releaseUnderLoad() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gate = try GateFixture(on: left)
            let total = UInt32(3_000)
            let epoch = try gate.arm([a, b])
            let sender = Task.detached {
                for number in 1...total {
                    try a.send(a.frame(to: b, number))
                    if number % 20 == 0 { try await Task.sleep(for: .milliseconds(1)) }
                }
            }
            let receiver = Task.detached { try await b.receiveNumbers(Int(total)) }
            _ = try await eventually { try epoch.waiting().egress >= 200 }
            let evidence = try #require(try epoch.call { try $0.release() }.first)
            try epoch.call { $0.close() }
            try await sender.value
            let numbers = try await receiver.value
            #expect(numbers.sorted() == Array(1...total))
            // The held ones come first and in order.
            #expect(Array(numbers.prefix(Int(evidence.held))) == Array(1...UInt32(evidence.held)))
        }
    }
}

/// Two desktops whose bridges are joined by one wire.
func joinedDesktops() throws -> (Desktop, Desktop) {
    let (left, right) = (try Desktop(), try Desktop())
    try left.join(right, wire: "wire")
    return (left, right)
}
