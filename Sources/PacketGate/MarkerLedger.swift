import Packets

/// Which markers have come to one member, of each kind and over which pair of NICs, and whether with their colour.
struct MarkerLedger: Sendable {
    private struct Channel: Hashable {
        var sender: String
        var kind: Marker.Kind
    }

    let receiver: String
    /// The NIC pairs over which each sender's markers must come.
    private let expected: [String: Set<UInt8>]
    private var arrived: [Channel: Set<UInt8>] = [:]
    private var bleached: Set<Channel> = []
    /// Senders whose marker of the cut has come, before the receiver's cut or after it.
    private var drained: Set<String> = []
    private var isCut = false
    /// When each sender's probes were first in, on the monotonic clock.
    private(set) var probesIn: [String: UInt64] = [:]

    init(receiver: String, expected: [String: Set<UInt8>]) {
        self.receiver = receiver
        self.expected = expected
    }

    /// Notes one marker; returns what it changes.
    mutating func note(_ kind: Marker.Kind, from sender: String, nicIndex: UInt8, isColoured: Bool) -> GateEvent? {
        guard expected[sender]?.contains(nicIndex) == true else { return nil }
        let channel = Channel(sender: sender, kind: kind)
        let before = (isIn: isIn(kind, from: sender), isBleached: bleached.contains(channel))
        arrived[channel, default: []].insert(nicIndex)
        if kind.isColoured && !isColoured { bleached.insert(channel) }
        let isBleached = bleached.contains(channel)
        if kind == .cut, isIn(kind, from: sender) { drained.insert(sender) }
        if kind == .probe, !before.isIn, isIn(kind, from: sender) { probesIn[sender] = GateClock.monotonic }
        guard isIn(kind, from: sender), !before.isIn || isBleached != before.isBleached else { return nil }
        return .markerArrived(
            sender: sender, receiver: receiver, kind: kind, bleached: isBleached, beforeCut: !isCut)
    }

    /// The receiver is cut: markers of cuts that came before prove no longer that the path kept the colour until now.
    mutating func beginAnew() {
        isCut = true
        for channel in arrived.keys where channel.kind == .cut { arrived[channel] = nil }
    }

    /// Whether everything is in that the sender emitted before its cut.
    func hasDrained(_ sender: String) -> Bool { drained.contains(sender) }

    /// Whether the markers of all pairs of NICs are in.
    func isIn(_ kind: Marker.Kind, from sender: String) -> Bool {
        arrived[Channel(sender: sender, kind: kind)] == expected[sender]
    }

    func missing(_ kind: Marker.Kind) -> [String] { expected.keys.filter { !isIn(kind, from: $0) }.sorted() }

    func bleached(_ kind: Marker.Kind) -> [String] {
        bleached.filter { $0.kind == kind }.map(\.sender).sorted()
    }
}
