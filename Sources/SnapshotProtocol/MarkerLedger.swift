/// Which channels into one host have been proven by which kind of marker.
struct MarkerLedger: Sendable, Hashable {
    private var outstanding: [MarkerKind: Set<Channel>] = [:]
    private var colourless: [MarkerKind: Set<Channel>] = [:]

    init(_ channels: Set<Channel> = []) {
        for kind in MarkerKind.allCases { outstanding[kind] = channels }
    }

    /// A marker may come more than once; one that came bleached is not mended by another that did not.
    mutating func note(_ kind: MarkerKind, on channel: Channel, bleached: Bool) {
        outstanding[kind]?.remove(channel)
        if bleached { colourless[kind, default: []].insert(channel) }
    }

    /// In order.
    func missing(_ kind: MarkerKind) -> [Channel] { (outstanding[kind] ?? []).sorted() }

    /// In order.
    func bleached(_ kind: MarkerKind) -> [Channel] { (colourless[kind] ?? []).sorted() }
}
