import Packets
import SnapshotProtocol
import SnapshotStore

/// The channel logs of all members of a snapshot, read once per restored member.
struct ChannelLogs {
    private var frames: [(owner: MemberName, bytes: [UInt8])] = []
    private let senders: [String: MemberName]

    init(plan: RestorePlan, repository: DirectoryRepository) throws {
        var senders: [String: MemberName] = [:]
        for member in plan.members {
            for nic in member.nics { senders[nic.mac] = member.name }
        }
        self.senders = senders
        for member in plan.members {
            guard let part = member.parts.first(where: { $0.kind == "channel-log" }) else { continue }
            let reader = try repository.reader(of: part, in: plan.snapshot)
            var bytes: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 1 << 16)
            while true {
                let count = try chunk.withUnsafeMutableBytes { try reader.read(into: $0) }
                if count == 0 { break }
                bytes += chunk[..<count]
            }
            for record in try PcapFile.decode(bytes) { frames.append((member.name, record.frame)) }
        }
    }

    /// What `receiver` must still be given on its NIC `mac`: first what was on the wire when it was cut, which stands
    /// in its own log, then what its peers had emitted and their gates held, each in the order of emission.
    func frames(for receiver: MemberName, mac: String) -> [[UInt8]] {
        func addressed(_ frame: EthernetFrame) -> Bool {
            let destination = frame.destination.description
            return destination == mac || frame.destination.isGroup
        }
        var late: [[UInt8]] = []
        var held: [[UInt8]] = []
        for (owner, bytes) in frames {
            guard let frame = try? EthernetFrame(decoding: bytes[...]), addressed(frame) else { continue }
            let sender = senders[frame.source.description]
            if owner == receiver {
                if sender != receiver { late.append(bytes) }
            } else if sender == owner {
                held.append(bytes)
            }
        }
        return late + held
    }
}
