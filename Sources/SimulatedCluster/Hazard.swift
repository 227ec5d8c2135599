import SnapshotProtocol

/// What goes wrong, drawn from a seed so that it comes when it can do harm.
struct Hazard {
    let mode: SnapshotMode
    let colourBudget: UInt64
    let members: Int
    let hosts: Int

    /// Kinds of an epoch with their weights.
    private static let weights: [(Fault.Kind, UInt64)] = [
        (.agentCrash, 10), (.agentFreeze, 9), (.managerCrash, 6), (.managerFreeze, 4), (.guestDeath, 5),
        (.guestFreeze, 5), (.diskFull, 5), (.slowImage, 4), (.slowFreeze, 9), (.slowArm, 6), (.lostReport, 5),
        (.doubledReport, 4), (.lostAnswer, 3), (.controlBreak, 6), (.controlPartition, 8), (.staleReport, 6),
        (.partition, 8), (.foreignChange, 6), (.overflow, 4), (.staleMarkers, 6), (.markerLoss, 6), (.cancel, 2),
        (.manifestFails, 2),
        (.refusal, 2),
    ]
    private static let colourWeights: [(Fault.Kind, UInt64)] =
        weights + [
            (.staleColour, 12), (.bleachedHost, 10), (.bleachedChannel, 14), (.slowFreeze, 9), (.doubledReport, 4),
        ]
    private static let total = weights.reduce(0) { $0 + $1.1 }
    private static let colourTotal = colourWeights.reduce(0) { $0 + $1.1 }
    private static let restoreWeights: [(Fault.Kind, UInt64)] = [
        (.agentCrash, 16), (.agentFreeze, 12), (.managerCrash, 12), (.managerFreeze, 8), (.controlBreak, 12),
        (.controlPartition, 12), (.lostReport, 8), (.doubledReport, 6), (.loadFails, 10), (.slowLoad, 6),
        (.restoreCancel, 4),
    ]
    private static let restoreTotal = restoreWeights.reduce(0) { $0 + $1.1 }

    func fault(_ random: inout SimulationRandom) -> Fault {
        let kind =
            mode == .hold
            ? Self.kind(random.below(Self.total), of: Self.weights)
            : Self.kind(random.below(Self.colourTotal), of: Self.colourWeights)
        if kind.isBleaching { return bleaching(kind, &random) }
        // Markers of an earlier epoch are of interest while those of this one are awaited, faults of the gates while
        // these are closed, and deaths while guests are frozen.
        let time =
            switch kind {
            case .staleMarkers: random.span(7_000, 20_000)
            case .foreignChange: random.span(10_000, 24_000)
            case .staleReport: random.span(14_000, 32_000)
            case .overflow: random.span(7_000, 16_000)
            case .slowArm: random.span(5_000, 10_000)
            case .staleColour: random.span(4_000, 12_000)
            // A second copy is of interest if it is one of a step that comes twice.
            case .doubledReport where mode == .colour && random.chance(700): random.span(11_500, 15_500)
            default: random.chance(400) ? random.span(12_000, 26_000) : random.span(7_000, 45_000)
            }
        // A partition shorter than a retransmission and one longer than all deadlines are both of interest. An arming
        // that outlasts the hold budget only ends the epoch.
        let longest: UInt64 = kind == .slowArm ? 40_000 : random.chance(300) ? 30_000 : 200_000
        let isLong = kind == .slowFreeze && mode == .colour && colourBudget > 1_000
        return Fault(
            kind: kind, target: random.index(kind.isOfMember ? members : hosts), time: time,
            duration: isLong ? random.span(300_000, 3_000_000) : random.span(1_000, longest))
    }

    /// From the beginning for good, from the beginning until some instant, or from some instant on.
    private func bleaching(_ kind: Fault.Kind, _ random: inout SimulationRandom) -> Fault {
        let target = random.index(kind.isOfMember ? members : hosts)
        let ticket = random.below(10)
        let isOnce = ticket < 6
        return Fault(
            kind: kind, target: target, time: isOnce ? random.span(11_000, 30_000) : 0,
            duration: isOnce || ticket < 8
                ? random.span(Fault.forGood, Fault.forGood + 100) : random.span(9_000, 26_000))
    }

    /// From the fence to the last start.
    func restoreFault(_ random: inout SimulationRandom) -> Fault {
        let kind = Self.kind(random.below(Self.restoreTotal), of: Self.restoreWeights)
        let time = kind.isOfRestore ? random.span(0, 40_000) : random.span(0, 200_000)
        return Fault(
            kind: kind, target: random.index(kind.isOfMember ? members : hosts), time: time,
            duration: random.span(1_000, random.chance(300) ? 30_000 : 300_000))
    }

    private static func kind(_ ticket: UInt64, of weights: [(Fault.Kind, UInt64)]) -> Fault.Kind {
        var ticket = ticket
        for (kind, weight) in weights {
            if ticket < weight { return kind }
            ticket -= weight
        }
        return .refusal
    }
}
