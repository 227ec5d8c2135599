import NIOConcurrencyHelpers
import Packets
import Testing

@testable import PacketGate

extension GateTests {
    @Suite struct ColourUnderLoad {
        /// A guest that sends numbers from one on, from a thread of its own, and can be frozen.
        private final class Sender: Sendable {
            private struct State {
                var sent: UInt32 = 0
                var isEnding = false
            }

            let guest: Guest
            private let state = NIOLockedValueBox(State())

            init(_ guest: Guest) { self.guest = guest }

            func run(to receiver: Guest) async throws {
                while true {
                    let goesOn = try state.withLockedValue { state in
                        guard !state.isEnding else { return false }
                        for _ in 0..<5 {
                            state.sent += 1
                            let kind: Guest.Kind = state.sent % 2 == 0 ? .udp4 : .tcp6
                            try guest.send(
                                guest.frame(kind, to: receiver, state.sent, trafficClass: UInt8(state.sent & 0xff)))
                        }
                        return true
                    }
                    guard goesOn else { return }
                    try await Task.sleep(for: .milliseconds(1))
                }
            }

            var sent: UInt32 { state.withLockedValue(\.sent) }

            func end() { state.withLockedValue { $0.isEnding = true } }

            /// Runs `body` while nothing is sent; returns how many were sent before.
            func frozen(_ body: () throws -> Void) rethrows -> UInt32 {
                try state.withLockedValue { state in
                    try body()
                    return state.sent
                }
            }
        }

        /// The guest that sent a frame.
        private func source(of frame: [UInt8]) -> HardwareAddress? { HardwareAddress(octets: frame[6..<12]) }

        @Test("What waits in the egress queue at the place is not coloured, all that comes later is")
        func placeDividesTheQueue() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gate = try GateFixture(on: left)
            let epoch = try gate.armColour([a, b])
            let wire = try WireCapture(on: right, port: "wireb")
            let (turn, unblock) = try block(epoch, "a")
            try a.send(1...300, to: b, trafficClass: Colour.bit)
            #expect(try epoch.waiting().egress == 300)
            let place = Task.detached { try epoch.epoch.notePlace("a") }
            unblock()
            turn()
            try await place.value
            try a.send(301...400, to: b)
            let frames = try await wire.frames(400)
            #expect(frames.map(Guest.number) == Array(1...400))
            #expect(frames.map { trafficClass(of: $0) != 0 } == (1...400).map { $0 > 300 })
            #expect(try await b.receiveNumbers(400) == Array(1...400))
        }

        @Test("Under load nothing is lost, order is kept, and each packet's colour tells its side of the place")
        func load() async throws {
            let (left, right) = try joinedDesktops()
            let senders = try (1...3).map { Sender(try Guest("s\($0)", number: UInt8($0), on: left)) }
            let b = try Guest("b", number: 9, on: right)
            let guests = senders.map(\.guest) + [b]
            let gates = try [left, right].map { try GateFixture(on: $0) }
            let epochs = try gates.map { try $0.armColour(guests, heeding: true) }
            let wire = try WireCapture(on: right, port: "wireb")
            // A reader that gets no time for a while must not cost packets.
            try right.ip("link", "set", b.tap, "txqueuelen", "100000")
            let running = senders.map { sender in Task.detached { try await sender.run(to: b) } }
            // How many frames shall come, when it is known.
            let total = NIOLockedValueBox<Int?>(nil)
            let receiving = Task.detached {
                var received: [[UInt8]] = []
                _ = try await eventually {
                    wire.drain()
                    while let frame = b.receiveNow() { received.append(frame) }
                    return received.count == total.withLockedValue { $0 }
                }
                return received
            }

            var places: [HardwareAddress: UInt32] = [:]
            for (index, sender) in senders.enumerated() {
                #expect(try await eventually { sender.sent >= 200 * UInt32(index + 1) })
                let name = sender.guest.name
                epochs[0].epoch.beginCut(name)
                places[sender.guest.mac] = try sender.frozen { try epochs[0].epoch.notePlace(name) }
                // The second cut is the receiver's.
                guard index == 0 else { continue }
                #expect(try await epochs[1].hears { $0 == .colourArrived(member: "b") })
                try epochs[1].cut("b")
            }
            for sender in senders {
                let place = try #require(places[sender.guest.mac])
                #expect(try await eventually { sender.sent >= place + 200 })
                sender.end()
            }
            for task in running { try await task.value }
            let count = senders.reduce(0) { $0 + Int($1.sent) }
            total.withLockedValue { $0 = count }
            let received = try await receiving.value
            let seen = try await wire.frames(count)
            #expect(received.count == count && seen.count == count)
            #expect(received.allSatisfy { trafficClass(of: $0) & Colour.bit == 0 })
            let evidence = try epochs.flatMap { try $0.call { try $0.release() } }
            let log = try epochs[1].log(of: "b").map(\.frame)
            for sender in senders {
                let place = try #require(places[sender.guest.mac])
                let last = sender.sent
                let frames = seen.filter { source(of: $0) == sender.guest.mac }
                #expect(frames.map(Guest.number) == Array(1...last))
                #expect(
                    frames.allSatisfy {
                        (trafficClass(of: $0) & Colour.bit != 0) == (Guest.number(of: $0) > place)
                            && trafficClass(of: $0) & ~Colour.bit == UInt8(Guest.number(of: $0) & 0xff) & ~Colour.bit
                    })
                // What waited for the receiver's cut may be overtaken by nothing of its own channel.
                let numbers = received.filter { source(of: $0) == sender.guest.mac }.map(Guest.number)
                #expect(numbers == Array(1...last))
                let logged = log.filter { source(of: $0) == sender.guest.mac }.map(Guest.number)
                #expect(logged.allSatisfy { $0 <= place })
                #expect(logged == (logged.first.map { Array($0...place) } ?? []))
            }
            // The first sender was cut before the receiver, the others after it.
            #expect(Set(log.map(source)) == Set(senders.dropFirst().map { $0.guest.mac }))
            #expect(evidence.allSatisfy { $0.unbroken && $0.overflowed == 0 && $0.foreignChanges == 0 })
            #expect(evidence.map(\.held).dropLast() == [0, 0, 0])
            #expect(try #require(evidence.last).held > 0)
            #expect(try #require(evidence.last).logged == UInt64(log.count))
        }
    }
}
