import Glibc
import Packets
import Testing

@testable import PacketGate

/// A guest that is no more than the far end of a tap: the test writes the frames that it sends and reads those it gets.
final class Guest: Sendable {
    let name: String
    let tap: String
    let mac: HardwareAddress
    let ipv4: UInt32
    let ipv6: IPAddress
    let desktop: Desktop
    let bridge: String
    private let descriptor: Int32

    /// - Parameter number: 1…250, different for all guests of a test.
    init(_ name: String, number: UInt8, on desktop: Desktop, bridge: String = "br0") throws {
        self.name = name
        self.desktop = desktop
        self.bridge = bridge
        let tap = "tap\(number)"
        self.tap = tap
        mac = HardwareAddress(rawValue: 0x5254_0000_0000 | UInt64(number))
        ipv4 = 0x0a00_0000 | UInt32(number)
        ipv6 = .v6(0xfd00_0000_0000_0000, UInt64(number))
        descriptor = try desktop.run {
            let descriptor = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK)
            guard descriptor >= 0 else { throw TestbedError("/dev/net/tun cannot be opened") }
            // struct ifreq with IFF_TAP | IFF_NO_PI, for TUNSETIFF.
            var request = [UInt8](repeating: 0, count: 40)
            request.replaceSubrange(0..<tap.utf8.count, with: tap.utf8)
            request[16] = 0x02
            request[17] = 0x10
            let code = request.withUnsafeMutableBytes { ioctl(descriptor, 0x4004_54ca, $0.baseAddress!) }
            guard code == 0 else {
                close(descriptor)
                throw TestbedError("no tap \(tap)")
            }
            return descriptor
        }
        try desktop.ip("link", "set", tap, "master", bridge, "up")
        // Lets all bridges learn where it lives. Not IP, so no gate and no test sees it.
        try send(EthernetFrame(destination: .broadcast, source: mac, etherType: 0x88b6, payload: [0]).encoded)
    }

    deinit { close(descriptor) }

    var nic: GatedNIC { GatedNIC(mac: mac, tap: tap, bridge: bridge) }

    func send(_ frame: [UInt8]) throws {
        guard write(descriptor, frame, frame.count) == frame.count else {
            throw TestbedError("\(name) cannot send: \(errno)")
        }
    }

    /// The next IP frame, nil when there is none.
    func receiveNow() -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            guard count >= 14 else { return nil }
            let type = UInt16(buffer[12]) << 8 | UInt16(buffer[13])
            if type == EthernetFrame.EtherType.ipv4 || type == EthernetFrame.EtherType.ipv6 {
                return Array(buffer.prefix(count))
            }
        }
    }

    /// The next `count` IP frames; fewer only after a long wait.
    func receive(_ count: Int) async throws -> [[UInt8]] {
        var frames: [[UInt8]] = []
        for _ in 0..<2_000 where frames.count < count {
            while frames.count < count, let frame = receiveNow() { frames.append(frame) }
            if frames.count < count { try await Task.sleep(for: .milliseconds(5)) }
        }
        return frames
    }

    /// The numbers of the next `count` IP frames.
    func receiveNumbers(_ count: Int) async throws -> [UInt32] { try await receive(count).map(Self.number) }

    /// The numbers of all IP frames that are there now.
    func numbersNow() -> [UInt32] {
        var numbers: [UInt32] = []
        while let frame = receiveNow() { numbers.append(Self.number(of: frame)) }
        return numbers
    }

    enum Kind: CaseIterable, Sendable { case udp4, tcp4, icmp4, udp6, tcp6, icmp6 }

    /// A frame to another guest that ends with a number.
    func frame(
        _ kind: Kind = .udp4, to other: Guest, _ number: UInt32, trafficClass: UInt8 = 0
    ) throws -> [UInt8] {
        try frame(kind, toAddress: other, mac: other.mac, number, trafficClass: trafficClass)
    }

    func frame(
        _ kind: Kind, toAddress other: Guest, mac: HardwareAddress, _ number: UInt32, trafficClass: UInt8 = 0
    ) throws -> [UInt8] {
        var payload: [UInt8] = Array("holdfast".utf8)
        for shift in [24, 16, 8, 0] { payload.append(UInt8(truncatingIfNeeded: number >> UInt32(shift))) }
        let isIPv4 = [.udp4, .tcp4, .icmp4].contains(kind)
        let source = isIPv4 ? IPAddress.v4(ipv4) : ipv6
        let destination = isIPv4 ? IPAddress.v4(other.ipv4) : other.ipv6
        let protocolNumber: UInt8
        let transport: [UInt8]
        switch kind {
        case .udp4, .udp6:
            protocolNumber = TransportProtocol.udp
            transport = try UDPDatagram(sourcePort: 4_000, destinationPort: 5_000, payload: payload[...])
                .encode(source: source, destination: destination)
        case .tcp4, .tcp6:
            protocolNumber = TransportProtocol.tcp
            transport = try TCPSegment(
                sourcePort: 4_000, destinationPort: 5_000, sequence: number, acknowledgement: 1, flags: [.ack, .psh],
                payload: payload[...]
            ).encode(source: source, destination: destination)
        case .icmp4:
            protocolNumber = TransportProtocol.icmp
            transport = ICMPMessage(type: 8, code: 0, body: payload[...]).encoded
        case .icmp6:
            protocolNumber = TransportProtocol.icmpv6
            transport = ICMPMessage(type: 128, code: 0, body: payload[...])
                .encode(source: source, destination: destination)
        }
        let packet: [UInt8] =
            isIPv4
            ? try IPv4Packet(
                source: ipv4, destination: other.ipv4, protocolNumber: protocolNumber, payload: transport[...],
                typeOfService: trafficClass
            ).encode()
            : try IPv6Packet(
                source: ipv6, destination: other.ipv6, protocolNumber: protocolNumber, payload: transport[...],
                trafficClass: trafficClass
            ).encode()
        return EthernetFrame(
            destination: mac, source: self.mac,
            etherType: isIPv4 ? EthernetFrame.EtherType.ipv4 : EthernetFrame.EtherType.ipv6, payload: packet[...]
        ).encoded
    }

    func send(
        _ numbers: ClosedRange<UInt32>, _ kind: Kind = .udp4, to other: Guest, trafficClass: UInt8 = 0
    ) throws {
        for number in numbers { try send(frame(kind, to: other, number, trafficClass: trafficClass)) }
    }

    static func number(of frame: [UInt8]) -> UInt32 { frame.suffix(4).reduce(0) { $0 << 8 | UInt32($1) } }
}
