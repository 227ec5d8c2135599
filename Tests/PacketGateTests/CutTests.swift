import Glibc
import Packets
import Testing

@testable import PacketGate

extension GateTests {
    @Suite struct Cut {
        @Test("What is emitted before the place is in the log, once; what comes after is not; all of it arrives")
        func placeDividesEgress() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gate = try GateFixture(on: left)
            let epoch = try gate.arm([a, b])
            var expected: [[UInt8]] = []
            for (number, kind) in Guest.Kind.allCases.enumerated() {
                expected.append(try a.frame(kind, to: b, UInt32(number)))
            }
            for frame in expected { try a.send(frame) }
            epoch.epoch.beginCut("a")
            try a.send(100...101, to: b)
            for number in UInt32(100)...101 { expected.append(try a.frame(to: b, number)) }
            try epoch.call { try $0.notePlace("a") }
            try a.send(200...210, to: b)
            let evidence = try #require(try epoch.call { try $0.release() }.first)
            let log = try epoch.log(of: "a")
            // Octet for octet, with the Ethernet header that the segments had.
            #expect(log.map(\.frame) == expected)
            #expect(evidence.held == 19)
            #expect(evidence.heldBeforeCut == 8)
            #expect(evidence.logged == 8)
            #expect(evidence.unresolved == 0)
            #expect(zip(log, log.dropFirst()).allSatisfy { $0.time < $1.time })
            #expect(try await b.receiveNumbers(19) == [0, 1, 2, 3, 4, 5, 100, 101] + Array(200...210))
            try epoch.call { $0.close() }
            #expect(try epoch.log(of: "a") == log)
        }

        @Test("tcpdump reads the log, with nanoseconds")
        func tcpdumpReadsLog() async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let b = try Guest("b", number: 2, on: desktop)
            let gate = try GateFixture(on: desktop)
            let epoch = try gate.arm([a, b])
            try a.send(1...1, .tcp4, to: b)
            try a.send(2...2, .udp6, to: b)
            try epoch.call { epoch in
                epoch.beginCut("a")
                try epoch.notePlace("a")
                _ = try epoch.release()
            }
            let path = gate.folder + "/log.pcap"
            let bytes = try epoch.call { try $0.channelLog(of: "a") }
            let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
            #expect(write(descriptor, bytes, bytes.count) == bytes.count)
            close(descriptor)
            defer { unlink(path) }
            let printed = try desktop.command("/usr/bin/tcpdump", ["-r", path, "-n", "-e", "-v", "--nano", "-tt"])
            #expect(printed.contains("nanosecond") || printed.contains("EN10MB"))
            #expect(printed.contains("52:54:00:00:00:01 > 52:54:00:00:00:02"))
            #expect(printed.contains("10.0.0.1.4000 > 10.0.0.2.5000: Flags [P.], cksum"))
            #expect(printed.contains("fd00::1.4000 > fd00::2.5000: [udp sum ok]"))
            #expect(!printed.contains("incorrect"))
            let times = try epoch.log(of: "a").map { record in
                let fraction = String(record.time % 1_000_000_000)
                return "\(record.time / 1_000_000_000)." + String(repeating: "0", count: 9 - fraction.count) + fraction
            }
            for time in times { #expect(printed.contains(time)) }
        }

        @Test("What arrives between the beginning of the cut and the place is held, logged and delivered")
        func heldIngressIsLogged() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let stranger = try Guest("stranger", number: 3, on: left)
            let gate = try GateFixture(on: right)
            let epoch = try gate.arm([a, b])
            // The gate of a is on another desktop and not armed yet, as if these were long on their way.
            try a.send(1...2, to: b)
            #expect(try await b.receiveNumbers(2) == [1, 2])

            epoch.epoch.beginCut("b")
            try a.send(3...4, to: b)
            try stranger.send(50...50, to: b)
            try a.send(5...5, .tcp6, to: b)
            #expect(try await eventually { try epoch.waiting().ingress == 4 })
            #expect(b.numbersNow() == [])
            try epoch.call { try $0.notePlace("b") }
            #expect(try await b.receiveNumbers(4) == [3, 4, 50, 5])

            try a.send(6...7, to: b)
            try stranger.send(51...51, to: b)
            #expect(try await b.receiveNumbers(3) == [6, 7, 51])
            let evidence = try #require(try epoch.call { try $0.release() }.first)
            try a.send(8...8, to: b)
            #expect(try await b.receiveNumbers(1) == [8])
            // Of members only, from the beginning of the cut to the release.
            #expect(
                try epoch.log(of: "b").map(\.frame)
                    == [
                        a.frame(to: b, 3), a.frame(to: b, 4), a.frame(.tcp6, to: b, 5), a.frame(to: b, 6),
                        a.frame(to: b, 7),
                    ])
            #expect(evidence.logged == 5)
            #expect(evidence.markersMissing == ["a"])
        }

        @Test("A cut that fails delivers what it held and logs nothing; it can be tried again")
        func cancelledCut() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gate = try GateFixture(on: right)
            let epoch = try gate.arm([a, b])
            epoch.epoch.beginCut("b")
            try a.send(1...3, to: b)
            #expect(try await eventually { try epoch.waiting().ingress == 3 })
            epoch.epoch.cancelCut("b")
            #expect(try await b.receiveNumbers(3) == [1, 2, 3])
            epoch.epoch.beginCut("b")
            try a.send(4...4, to: b)
            #expect(try await eventually { try epoch.waiting().ingress == 1 })
            try epoch.call { try $0.notePlace("b") }
            #expect(try await b.receiveNumbers(1) == [4])
            // A place is noted once.
            #expect(throws: GateError.self) { try epoch.call { try $0.notePlace("b") } }
            _ = try epoch.call { try $0.release() }
            #expect(try epoch.log(of: "b").map { Guest.number(of: $0.frame) } == [4])
        }

        @Test("stopLateLog ends the recording of late arrivals, not their delivery")
        func stopsRecording() async throws {
            let (left, right) = try joinedDesktops()
            let a = try Guest("a", number: 1, on: left)
            let b = try Guest("b", number: 2, on: right)
            let gate = try GateFixture(on: right)
            let epoch = try gate.arm([a, b])
            epoch.epoch.beginCut("b")
            try epoch.call { try $0.notePlace("b") }
            try a.send(1...1, to: b)
            #expect(try await b.receiveNumbers(1) == [1])
            epoch.epoch.stopLateLog()
            try a.send(2...2, to: b)
            #expect(try await b.receiveNumbers(1) == [2])
            _ = try epoch.call { try $0.release() }
            #expect(try epoch.log(of: "b").map { Guest.number(of: $0.frame) } == [1])
        }

        @Test("A release between members of one desktop puts nothing into the receiver's log")
        func releaseIsNoLateArrival() async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let b = try Guest("b", number: 2, on: desktop)
            let gate = try GateFixture(on: desktop)
            let epoch = try gate.arm([a, b])
            try a.send(1...5, to: b)
            for name in ["a", "b"] {
                epoch.epoch.beginCut(name)
                try epoch.call { try $0.notePlace(name) }
            }
            try a.send(6...9, to: b)
            let evidence = try epoch.call { try $0.release() }
            #expect(try await b.receiveNumbers(9) == Array(1...9))
            #expect(try epoch.log(of: "a").map { Guest.number(of: $0.frame) } == Array(1...5))
            #expect(try epoch.log(of: "b") == [])
            #expect(evidence.map(\.logged) == [5, 0])
        }

        @Test("A segment through a router carries the router's address, and multicast its group's, in the log")
        func destinationsAreLearned() async throws {
            let desktop = try Desktop()
            let a = try Guest("a", number: 1, on: desktop)
            let b = try Guest("b", number: 2, on: desktop)
            let far = try Guest("far", number: 3, on: desktop)
            let gate = try GateFixture(on: desktop)
            let epoch = try gate.arm([a, b])
            // To the IP address of one by way of the hardware address of another.
            let viaMember = try a.frame(.udp4, toAddress: far, mac: b.mac, 1)
            let viaStranger = try a.frame(.udp6, toAddress: b, mac: far.mac, 2)
            let group = try EthernetFrame(
                destination: #require(HardwareAddress("01:00:5e:00:00:fb")), source: a.mac,
                etherType: EthernetFrame.EtherType.ipv4,
                payload: IPv4Packet(
                    source: a.ipv4, destination: 0xe000_00fb, protocolNumber: 17,
                    payload: UDPDatagram(sourcePort: 1, destinationPort: 2, payload: [0, 0, 0, 3])
                        .encode(source: .v4(a.ipv4), destination: .v4(0xe000_00fb))[...]
                ).encode()[...]
            ).encoded
            for frame in [viaMember, viaStranger, group] { try a.send(frame) }
            try epoch.call { epoch in
                epoch.beginCut("a")
                try epoch.notePlace("a")
                _ = try epoch.release()
            }
            #expect(try epoch.log(of: "a").map(\.frame) == [viaMember, group])
        }
    }
}
