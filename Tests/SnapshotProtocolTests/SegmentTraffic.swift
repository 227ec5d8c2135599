import SnapshotProtocol

/// What the members send each other, and what the gates do with it: enough of a network to see an orphan segment, and
/// to compare the logs with the true channel state.
struct SegmentTraffic {
    struct Segment: Hashable, CustomStringConvertible {
        var channel: Channel
        var number: Int
        /// Emitted after its sender's cut.
        var afterCut: Bool

        var description: String { "\(channel)#\(number)\(afterCut ? " after cut" : "")" }
    }

    enum Packet: Hashable {
        case segment(Segment)
        case marker(Channel)
    }

    private let hostOf: [MemberName: HostName]
    private(set) var inFlight: [Channel: [Packet]] = [:]
    private var held: [MemberName: [Segment]] = [:]
    private var gated: Set<MemberName> = []
    private var cut: Set<MemberName> = []
    private var logsArrivals: Set<MemberName> = []
    private var emitted = 0
    /// What the gates took into the logs.
    private(set) var log: [Segment] = []
    /// Emitted before the sender's cut, delivered after the receiver's: what the logs ought to hold.
    private(set) var channelState: Set<Segment> = []
    /// Emitted after the sender's cut, delivered before the receiver's.
    private(set) var orphans: [Segment] = []
    private(set) var losses = 0

    init(plan: SnapshotPlan) {
        hostOf = Dictionary(uniqueKeysWithValues: plan.members.map { ($0.name, $0.host) })
    }

    var busyChannels: [Channel] { inFlight.filter { !$0.value.isEmpty }.keys.sorted() }

    mutating func emit(on channel: Channel) {
        emitted += 1
        let segment = Segment(channel: channel, number: emitted, afterCut: cut.contains(channel.sender))
        if gated.contains(channel.sender) {
            held[channel.sender, default: []].append(segment)
        } else {
            inFlight[channel, default: []].append(.segment(segment))
        }
    }

    /// Markers pass the gate of their own host: they follow whatever was emitted before the gate was closed.
    mutating func sendMarker(on channel: Channel) { inFlight[channel, default: []].append(.marker(channel)) }

    /// Delivers one packet of the channel, and returns the channel if it was a marker.
    mutating func deliver(on channel: Channel, at index: Int = 0) -> Channel? {
        guard let packet = inFlight[channel]?.remove(at: index) else { return nil }
        switch packet {
        case .marker(let channel): return channel
        case .segment(let segment):
            let receiver = segment.channel.receiver
            if cut.contains(receiver) {
                if !segment.afterCut { channelState.insert(segment) }
                if logsArrivals.contains(receiver) { log.append(segment) }
            } else if segment.afterCut {
                orphans.append(segment)
            }
            return nil
        }
    }

    mutating func lose(on channel: Channel, at index: Int = 0) {
        if inFlight[channel]?.remove(at: index) != nil { losses += 1 }
    }

    mutating func arm(_ host: HostName) { for (member, home) in hostOf where home == host { gated.insert(member) } }

    mutating func cut(_ member: MemberName) {
        cut.insert(member)
        logsArrivals.insert(member)
        log += held[member] ?? []
    }

    mutating func stopLateLog(_ host: HostName) {
        for (member, home) in hostOf where home == host { logsArrivals.remove(member) }
    }

    mutating func open(_ host: HostName) {
        stopLateLog(host)
        for (member, home) in hostOf.sorted(by: { $0.key < $1.key }) where home == host {
            gated.remove(member)
            for segment in held.removeValue(forKey: member) ?? [] {
                inFlight[segment.channel, default: []].append(.segment(segment))
            }
        }
    }
}
