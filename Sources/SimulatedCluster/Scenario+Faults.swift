/// What goes wrong, drawn from a seed so that it comes when it can do harm.
extension Scenario {
    /// Kinds of an epoch with their weights.
    private static let weights: [(Fault.Kind, UInt64)] = [
        (.agentCrash, 10), (.agentFreeze, 9), (.managerCrash, 6), (.managerFreeze, 4), (.guestDeath, 5),
        (.guestFreeze, 5), (.diskFull, 5), (.slowImage, 4), (.slowFreeze, 9), (.slowArm, 6), (.lostReport, 5),
        (.doubledReport, 4), (.lostAnswer, 3), (.controlBreak, 6), (.controlPartition, 8), (.staleReport, 6),
        (.partition, 8),
        (.foreignChange, 6), (.overflow, 4), (.staleMarkers, 6), (.markerLoss, 6), (.cancel, 2), (.manifestFails, 2),
        (.refusal, 2),
    ]
    private static let total = weights.reduce(0) { $0 + $1.1 }
    private static let restoreWeights: [(Fault.Kind, UInt64)] = [
        (.agentCrash, 16), (.agentFreeze, 12), (.managerCrash, 12), (.managerFreeze, 8), (.controlBreak, 12),
        (.controlPartition, 12), (.lostReport, 8), (.doubledReport, 6), (.loadFails, 10), (.slowLoad, 6),
        (.restoreCancel, 4),
    ]
    private static let restoreTotal = restoreWeights.reduce(0) { $0 + $1.1 }

    static func fault(_ random: inout SimulationRandom, members: Int, hosts: Int) -> Fault {
        let kind = kind(random.below(total), of: weights)
        // Markers of an earlier epoch are of interest while those of this one are awaited, faults of the gates while
        // these are closed, and deaths while guests are frozen.
        let time =
            switch kind {
            case .staleMarkers: random.span(7_000, 20_000)
            case .foreignChange: random.span(10_000, 24_000)
            case .staleReport: random.span(14_000, 32_000)
            case .overflow: random.span(7_000, 16_000)
            case .slowArm: random.span(5_000, 10_000)
            default: random.chance(400) ? random.span(12_000, 26_000) : random.span(7_000, 45_000)
            }
        // A partition shorter than a retransmission and one longer than all deadlines are both of interest. An arming
        // that outlasts the hold budget only ends the epoch.
        let longest: UInt64 = kind == .slowArm ? 40_000 : random.chance(300) ? 30_000 : 200_000
        return Fault(
            kind: kind, target: random.index(kind.isOfMember ? members : hosts), time: time,
            duration: random.span(1_000, longest))
    }

    /// From the fence to the last start.
    static func restoreFault(_ random: inout SimulationRandom, members: Int, hosts: Int) -> Fault {
        let kind = kind(random.below(restoreTotal), of: restoreWeights)
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
