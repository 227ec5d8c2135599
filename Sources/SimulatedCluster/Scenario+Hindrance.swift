import SnapshotProtocol

/// What may rightly hinder an epoch.
extension Scenario {
    /// The only member that is slow, if its slowness is all that goes wrong.
    var slowMember: Int? {
        guard let first = faults.first,
            faults.allSatisfy({ $0.kind == .slowFreeze && $0.target == first.target })
        else { return nil }
        return first.target
    }

    /// The mode in which a snapshot must come about; nil if one may fail, or be of either mode.
    var dueMode: SnapshotMode? {
        guard mode == .colour else { return nil }
        if faults.allSatisfy({ $0.kind.isBleaching && $0.time == 0 && $0.duration >= Fault.forGood * 1_000 }),
            faults.contains(where: { $0.kind == .bleachedHost && placement.contains($0.target) })
        {
            return .hold
        }
        let isSwift = loss == 0 && delay < 8_000
        return isSwift && colourBudget > 1_000 && slowMember != nil ? .colour : nil
    }
}
