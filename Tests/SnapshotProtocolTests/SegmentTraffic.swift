import SnapshotProtocol

/// What the members send each other, and what the gates do with it: enough of a network to see an orphan segment, and
/// to compare the logs with the true channel state.
struct SegmentTraffic {
    struct Segment: Hashable, CustomStringConvertible {
        var channel: Channel
        var number: Int
        /// Emitted after its sender's cut.
        var afterCut: Bool
        /// The bit of the traffic class, as it was sent.
        var coloured = false

        var description: String { "\(channel)#\(number)\(afterCut ? " after cut" : "")" }
    }

    enum Packet: Hashable {
        case segment(Segment)
        case marker(Marker)
    }

    struct Marker: Hashable {
        var channel: Channel
        var kind: MarkerKind
        var bleached = false
        /// Its receiver had not been cut when it came.
        var beforeCut = false
    }

    private let hostOf: [MemberName: HostName]
    private(set) var inFlight: [Channel: [Packet]] = [:]
    private var held: [MemberName: [Segment]] = [:]
    private var gated: Set<MemberName> = []
    private var cut: Set<MemberName> = []
    private var logsArrivals: Set<MemberName> = []
    /// Members whose gate is live in colour mode.
    private var coloured: Set<MemberName> = []
    /// Of these, those whose gate heeds the colour of what arrives.
    private var heeding: Set<MemberName> = []
    /// Channels whose marker of the cut is in: nothing from before the cut can come any more.
    private var drained: Set<Channel> = []
    private var waiting: [MemberName: [Segment]] = [:]
    /// Channels whose path takes the colour off.
    var bleaching: Set<Channel> = []
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

    /// `bit`: the guest uses the colour's bit itself.
    mutating func emit(on channel: Channel, bit: Bool = false) {
        emitted += 1
        let isCut = cut.contains(channel.sender)
        let segment = Segment(
            channel: channel, number: emitted, afterCut: isCut,
            coloured: coloured.contains(channel.sender) ? isCut : bit)
        if gated.contains(channel.sender) {
            held[channel.sender, default: []].append(segment)
        } else {
            inFlight[channel, default: []].append(.segment(segment))
        }
    }

    /// Markers pass the gate of their own host: they follow whatever was emitted before the gate was closed.
    mutating func sendMarker(_ kind: MarkerKind, on channel: Channel) {
        inFlight[channel, default: []].append(.marker(Marker(channel: channel, kind: kind)))
    }

    /// One packet of the channel arrives; returns it if it was a marker.
    mutating func deliver(on channel: Channel, at index: Int = 0) -> Marker? {
        guard let packet = inFlight[channel]?.remove(at: index) else { return nil }
        switch packet {
        case .marker(var marker):
            marker.bleached = marker.kind != .flush && bleaching.contains(channel)
            marker.beforeCut = marker.kind == .cut && !cut.contains(channel.receiver)
            if marker.kind == .cut { drained.insert(channel) }
            return marker
        case .segment(let segment):
            arrive(segment, coloured: segment.coloured && !bleaching.contains(channel))
            return nil
        }
    }

    private mutating func arrive(_ segment: Segment, coloured isColoured: Bool) {
        let receiver = segment.channel.receiver
        if cut.contains(receiver) {
            if !segment.afterCut { channelState.insert(segment) }
            let counts = !coloured.contains(receiver) || !isColoured && !drained.contains(segment.channel)
            if logsArrivals.contains(receiver), counts { log.append(segment) }
        } else if heeding.contains(receiver), isColoured {
            waiting[receiver, default: []].append(segment)
        } else if segment.afterCut {
            orphans.append(segment)
        }
    }

    mutating func lose(on channel: Channel, at index: Int = 0) {
        if inFlight[channel]?.remove(at: index) != nil { losses += 1 }
    }

    mutating func arm(_ host: HostName, _ mode: SnapshotMode) {
        for (member, home) in hostOf.sorted(by: { $0.key < $1.key }) where home == host {
            switch mode {
            case .hold:
                gated.insert(member)
                heeding.remove(member)
                coloured.remove(member)
                letGo(to: member)
            case .colour: coloured.insert(member)
            }
        }
    }

    mutating func heedColour(_ host: HostName) {
        for (member, home) in hostOf where home == host { heeding.insert(member) }
    }

    mutating func cut(_ member: MemberName) {
        cut.insert(member)
        logsArrivals.insert(member)
        log += held[member] ?? []
        letGo(to: member)
    }

    private mutating func letGo(to member: MemberName) {
        for segment in waiting.removeValue(forKey: member) ?? [] { arrive(segment, coloured: true) }
    }

    mutating func stopLateLog(_ host: HostName) {
        for (member, home) in hostOf where home == host { logsArrivals.remove(member) }
    }

    mutating func open(_ host: HostName) {
        stopLateLog(host)
        for (member, home) in hostOf.sorted(by: { $0.key < $1.key }) where home == host {
            gated.remove(member)
            coloured.remove(member)
            heeding.remove(member)
            letGo(to: member)
            for segment in held.removeValue(forKey: member) ?? [] {
                inFlight[segment.channel, default: []].append(.segment(segment))
            }
        }
    }
}
