/// What is known of one member of an epoch: the basis on which the cut is judged, now and whenever it is verified.
package struct MemberEvidence: Hashable, Sendable, Codable {
    package var member: PlannedMember
    package var cut: MemberCut
    package var gate: GateAttestation
    package var stored: StoredMember

    package init(member: PlannedMember, cut: MemberCut, gate: GateAttestation, stored: StoredMember) {
        self.member = member
        self.cut = cut
        self.gate = gate
        self.stored = stored
    }
}

/// The judgement of a global snapshot from its evidence, and nothing but its evidence.
package struct Verdict: Hashable, Sendable, Codable {
    /// No segment emitted after its sender's cut was delivered before its receiver's cut.
    package var consistent: Bool
    /// The logs hold the whole channel state: every marker arrived.
    package var logComplete: Bool
    /// Why not, one sentence each.
    package var reasons: [String]

    package init(consistent: Bool, logComplete: Bool, reasons: [String]) {
        self.consistent = consistent
        self.logComplete = logComplete
        self.reasons = reasons
    }

    package static func judge(_ evidence: [MemberEvidence], mode: SnapshotMode) -> Verdict {
        var reasons: [String] = []
        if evidence.isEmpty { reasons.append("There is no member.") }
        for item in evidence {
            let name = item.member.name
            let gate = item.gate
            for (other, what) in [
                (item.cut.member, "cut"), (gate.member, "gate"), (item.stored.member, "image"),
            ] where other != name {
                reasons.append("The \(what) recorded for \(name) belongs to \(other).")
            }
            if !gate.unbroken { reasons.append("The gate of \(name) did not hold from arm to release.") }
            if gate.watchdogFired { reasons.append("The watchdog opened the gate of \(name).") }
            if gate.overflowed > 0 { reasons.append("The queue of \(name) lost \(gate.overflowed) packets.") }
            if gate.foreignChanges > 0 {
                reasons.append("Somebody changed the packet filter on the host of \(name) while its gate was closed.")
            }
            if gate.heldBeforeCut > gate.held {
                reasons.append("\(name) counts more segments before its cut than in all.")
            }
            if !(item.cut.armedAt <= item.cut.cutStartedAt && item.cut.cutStartedAt <= item.cut.cutEndedAt) {
                reasons.append("The times of the cut of \(name) are not in order.")
            }
            if gate.releasedAt < item.cut.cutEndedAt {
                reasons.append("The gate of \(name) was released before its cut was over.")
            }
        }
        let missing = evidence.flatMap(\.gate.markersMissing).sorted()
        for channel in evidence.flatMap(\.gate.bleached).sorted() {
            reasons.append("The path of \(channel) took the colour off; take the snapshot in hold mode.")
        }
        if mode == .colour {
            for channel in missing {
                reasons.append(
                    "No marker of the cut arrived on \(channel): nothing shows that its path kept the colour.")
            }
        }
        let consistent = reasons.isEmpty
        for channel in missing where mode == .hold {
            reasons.append("No marker arrived on \(channel): its log may lack segments.")
        }
        return Verdict(consistent: consistent, logComplete: consistent && missing.isEmpty, reasons: reasons)
    }
}
