import CNetfilterQueue
import Packets

@testable import PacketGate

/// The bytes are one datagram of the kernel; also the attributes of each kind of message that the gate reads.
enum NetlinkSubject {
    static func run(_ bytes: [UInt8]) throws {
        // A slice that does not begin at zero, as the messages' payloads do.
        let slice = ([0xff, 0xff, 0xff] + bytes).dropFirst(3)
        try read(NetlinkMessage.parse(slice))
        let generation = UInt16(NFNL_SUBSYS_NFTABLES) << 8 | UInt16(NFT_MSG_NEWGEN.rawValue)
        for type in [UInt16(RTM_NEWLINK), UInt16(RTM_NEWNEIGH), generation] {
            try read([NetlinkMessage(type: type, payload: slice)])
        }
        _ = QueueStatistics.parse(String(decoding: bytes, as: UTF8.self))
    }

    private static func read(_ messages: [NetlinkMessage]) throws {
        for message in messages {
            if let link = LinkTable.parse(message) {
                try Broken.unless(!link.name.utf8.contains(0), "A name goes beyond its end.")
                try Broken.unless(
                    link.kind == "bridge" || link.filtersIPv4 == nil && link.filtersIPv6 == nil,
                    "What is no bridge has a bridge's switches.")
            }
            if let author = GateWatch.author(of: message) {
                try Broken.unless(!author.name.utf8.contains(0), "A name goes beyond its end.")
            }
            let attributes = message.attributes(after: 4)
            let size = attributes.values.reduce(0) { $0 + 4 + $1.count }
            try Broken.unless(size <= message.payload.count, "Attributes overlap or lie beyond the message.")
            try written(attributes)
        }
        for (_, ports) in LinkTable.ports(in: messages) {
            try Broken.unless(!ports.isEmpty && ports.count <= messages.count, "Ports were made up.")
        }
    }

    private static func written(_ attributes: [UInt16: ArraySlice<UInt8>]) throws {
        let bytes = attributes.reduce(into: [UInt8]()) { bytes, entry in
            bytes += NetlinkMessage.attribute(Int(entry.key), Array(entry.value))
        }
        let again = NetlinkMessage.attributes(bytes[...])
        try Broken.unless(
            again.mapValues(Array.init) == attributes.mapValues(Array.init),
            "Attributes are written otherwise than read.")
    }
}
