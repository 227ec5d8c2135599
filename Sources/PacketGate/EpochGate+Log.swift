import NIOConcurrencyHelpers
import Packets

/// The channel log: what was emitted before its sender's cut and had not arrived at its receiver's.
extension EpochGate {
    /// The channel log of a member of this host, a capture file with nanosecond times: what it sent to members before
    /// its cut and had not arrived, then what arrived for it from members after. In order of time; empty before
    /// `release`.
    package func channelLog(of member: String) throws(GateError) -> [UInt8] {
        guard let gated = plan.members.first(where: { $0.name == member }) else {
            throw .wrongState("\(member) is not gated here")
        }
        do {
            return try PcapFile.encode(channelRecords(of: gated).records)
        } catch {
            throw .internalError("\(error)")
        }
    }

    /// The hardware addresses of each member, in the order of the plan.
    var nicsByMember: [String: [HardwareAddress]] {
        Dictionary(grouping: plan.peers, by: \.member).mapValues { $0.map(\.mac) }
    }

    func channelRecords(of member: GatedMember) -> (records: [PcapRecord], unresolved: UInt64) {
        let (facts, learned) = state.withLockedValue { ($0.facts[member.name], $0.destinations) }
        guard let facts else { return ([], 0) }
        let others = Set(plan.peers.filter { $0.member != member.name }.map(\.mac))
        let nicsBySource = arrivingNICs(of: member)
        var records: [PcapRecord] = []
        var unresolved: UInt64 = 0
        for entry in facts.sent.entries {
            guard let source = entry.source else {
                unresolved += 1
                continue
            }
            let nics = member.nics.filter { $0.mac == source }
            let taps = (nics.isEmpty ? member.nics : nics).map(\.tap)
            let address = facts.sent.destination(entry)
            guard let address,
                let destination = address.groupHardwareAddress ?? taps.lazy.compactMap({ learned[$0]?[address] }).first
            else {
                unresolved += 1
                continue
            }
            // What goes to others than members is outside the cluster.
            guard destination.isGroup || others.contains(destination) else { continue }
            records.append(record(entry, of: facts.sent, from: source, to: destination))
        }
        for entry in facts.received.entries {
            guard let source = entry.source else { continue }
            let nic = nicsBySource[source] ?? member.nics[0]
            let destination = facts.received.destination(entry)?.groupHardwareAddress ?? nic.mac
            records.append(record(entry, of: facts.received, from: source, to: destination))
        }
        let order = records.indices.sorted { (records[$0].time, $0) < (records[$1].time, $1) }
        return (order.map { records[$0] }, unresolved)
    }

    /// The queue does not say through which NIC a segment comes in. With several it is the one that the sender's NIC
    /// of the same index talks to.
    private func arrivingNICs(of member: GatedMember) -> [HardwareAddress: GatedNIC] {
        var nics: [HardwareAddress: GatedNIC] = [:]
        for addresses in nicsByMember.values {
            for (index, address) in addresses.enumerated() {
                nics[address] = member.nics[min(index, member.nics.count - 1)]
            }
        }
        return nics
    }

    private func record(
        _ entry: SegmentStore.Entry, of store: SegmentStore, from source: HardwareAddress,
        to destination: HardwareAddress
    ) -> PcapRecord {
        let frame = EthernetFrame(
            destination: destination, source: source, etherType: entry.etherType, payload: store.packet(entry))
        return PcapRecord(time: entry.time, frame: frame.encoded)
    }
}
