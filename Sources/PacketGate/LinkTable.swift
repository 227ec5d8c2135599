import CNetfilterQueue
import Glibc
import Packets

/// One network interface as the kernel describes it.
struct NetworkLink: Hashable {
    var index: Int32
    var name: String
    /// `tun`, `veth`, `bridge`, …; nil for hardware.
    var kind: String?
    /// The bridge or bond that the interface is a port of.
    var master: Int32?
    var isUp: Bool
    var transmitQueueLength: UInt32
    var transmitDropped: UInt64
    /// For a bridge: whether iptables and ip6tables see what it forwards.
    var filtersIPv4: Bool?
    var filtersIPv6: Bool?
}

/// The interfaces of this network namespace. Asked of the kernel by netlink and not read from `/sys`, which shows the
/// namespace in which it was mounted.
struct LinkTable {
    private(set) var byName: [String: NetworkLink] = [:]
    private(set) var byIndex: [Int32: NetworkLink] = [:]

    private static let headerLength = MemoryLayout<ifinfomsg>.size

    static func read() throws(GateError) -> LinkTable {
        let socket = try NetlinkSocket(protocolNumber: NETLINK_ROUTE)
        var table = LinkTable()
        let body = [UInt8](repeating: 0, count: headerLength)
        for message in try socket.request(type: Int(RTM_GETLINK), dump: true, body: body) {
            guard let link = parse(message) else { continue }
            table.byName[link.name] = link
            table.byIndex[link.index] = link
        }
        return table
    }

    /// Nil for messages that are not about an interface.
    static func parse(_ message: NetlinkMessage) -> NetworkLink? {
        guard message.type == RTM_NEWLINK || message.type == RTM_DELLINK,
            message.payload.first == UInt8(AF_UNSPEC),
            let index = message.payload.native(Int32.self, at: 4),
            let flags = message.payload.native(UInt32.self, at: 8)
        else { return nil }
        let attributes = message.attributes(after: headerLength)
        guard let name = attributes[UInt16(IFLA_IFNAME)]?.zeroTerminatedString else { return nil }
        let information = attributes[UInt16(IFLA_LINKINFO)].map { NetlinkMessage.attributes($0) } ?? [:]
        let kind = information[UInt16(IFLA_INFO_KIND)]?.zeroTerminatedString
        let data = information[UInt16(IFLA_INFO_DATA)].map { NetlinkMessage.attributes($0) } ?? [:]
        func bridgeSwitch(_ type: UInt32) -> Bool? {
            kind == "bridge" ? data[UInt16(type)]?.first.map { $0 != 0 } : nil
        }
        let counters = attributes[UInt16(IFLA_STATS64)]
        return NetworkLink(
            index: index, name: name, kind: kind,
            master: attributes[UInt16(IFLA_MASTER)]?.native(Int32.self, at: 0),
            isUp: flags & 1 != 0,
            transmitQueueLength: attributes[UInt16(IFLA_TXQLEN)]?.native(UInt32.self, at: 0) ?? 0,
            // rx and tx packets, bytes and errors and rx_dropped come before it.
            transmitDropped: counters?.native(UInt64.self, at: 7 * 8) ?? 0,
            filtersIPv4: bridgeSwitch(UInt32(IFLA_BR_NF_CALL_IPTABLES)),
            filtersIPv6: bridgeSwitch(UInt32(IFLA_BR_NF_CALL_IP6TABLES)))
    }

    func ports(of bridge: NetworkLink) -> [NetworkLink] {
        byIndex.values.filter { $0.master == bridge.index }.sorted { $0.index < $1.index }
    }

    /// The index of the port behind which a bridge of this namespace has seen each address.
    static func learnedPorts() throws(GateError) -> [HardwareAddress: Set<Int32>] {
        let socket = try NetlinkSocket(protocolNumber: NETLINK_ROUTE)
        var body = [UInt8](repeating: 0, count: MemoryLayout<ndmsg>.size)
        body[0] = UInt8(AF_BRIDGE)
        return ports(in: try socket.request(type: Int(RTM_GETNEIGH), dump: true, body: body))
    }

    /// What an answer to `RTM_GETNEIGH` says of bridges.
    static func ports(in messages: [NetlinkMessage]) -> [HardwareAddress: Set<Int32>] {
        let headerLength = MemoryLayout<ndmsg>.size
        var ports: [HardwareAddress: Set<Int32>] = [:]
        for message in messages {
            guard let index = message.payload.native(Int32.self, at: 4),
                let address = message.attributes(after: headerLength)[UInt16(NDA_LLADDR)],
                let mac = HardwareAddress(octets: address)
            else { continue }
            ports[mac, default: []].insert(index)
        }
        return ports
    }

    /// Sets the switches of one bridge that make iptables and ip6tables see what it forwards.
    static func setFilters(of bridge: NetworkLink, ipv4: Bool, ipv6: Bool) throws(GateError) {
        let data =
            NetlinkMessage.attribute(Int(IFLA_BR_NF_CALL_IPTABLES), [ipv4 ? 1 : 0])
            + NetlinkMessage.attribute(Int(IFLA_BR_NF_CALL_IP6TABLES), [ipv6 ? 1 : 0])
        let information =
            NetlinkMessage.attribute(Int(IFLA_INFO_KIND), Array("bridge".utf8) + [0])
            + NetlinkMessage.attribute(Int(IFLA_INFO_DATA), data)
        try change(bridge, NetlinkMessage.attribute(Int(IFLA_LINKINFO), information))
    }

    static func setTransmitQueueLength(of link: NetworkLink, _ length: UInt32) throws(GateError) {
        var value: [UInt8] = []
        value.append(native: length)
        try change(link, NetlinkMessage.attribute(Int(IFLA_TXQLEN), value))
    }

    private static func change(_ link: NetworkLink, _ attributes: [UInt8]) throws(GateError) {
        let socket = try NetlinkSocket(protocolNumber: NETLINK_ROUTE)
        var body: [UInt8] = [UInt8(AF_UNSPEC), 0, 0, 0]
        body.append(native: link.index)
        body.append(native: UInt32(0))
        body.append(native: UInt32(0))
        _ = try socket.request(type: Int(RTM_NEWLINK), body: body + attributes)
    }
}
