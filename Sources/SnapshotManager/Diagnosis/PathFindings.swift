package import SnapshotProtocol
package import WireProtocol

/// What a path test shows. Pure.
package enum PathFindings {
    /// From so many nanoseconds on a round trip is too long: hold mode holds all traffic for that long, and a probe that
    /// was sent again may have answered for the first.
    package static let slow = PathTestParticipant.probeInterval * 1_000_000

    package static func all(plan: PathTestPlan, outcome: PathTestCoordinator.Outcome) -> [Finding] {
        let failures = outcome.failures.sorted { $0.key < $1.key }.map { host, failure in
            // One that gave way to a job has found out nothing.
            failure.code == .busy
                ? Finding(.path, .desktop(host), .warning, failure.message, remedy: "")
                : Finding(.path, .desktop(host), blocker: failure)
        }
        guard outcome.probed, outcome.failures.isEmpty, !outcome.isCancelled else {
            if outcome.isCancelled || failures.isEmpty { return failures + [untested(plan.cluster, why: nil)] }
            return failures
        }
        let arrivals = Dictionary(outcome.arrivals.map { ($0.channel, $0) }, uniquingKeysWith: { first, _ in first })
        return plan.channels.flatMap { findings(on: $0, arrivals) }
    }

    package static func untested(_ cluster: String, why: String?) -> Finding {
        Finding(
            .path, .cluster(cluster), .warning,
            "The paths between the members were not tested, because "
                + "\(why ?? "a snapshot or a restore of the cluster goes before").",
            remedy: "Ask again when that is over.")
    }

    private static func findings(on channel: Channel, _ arrivals: [Channel: ProbeArrival]) -> [Finding] {
        let subject = FindingSubject.channel(channel)
        guard let there = arrivals[channel] else {
            let text =
                "No marker gets through from \(channel.sender) to \(channel.receiver). The log of this channel cannot be "
                + "shown to be complete, and colour mode falls back to hold mode."
            let remedy =
                "See whether the members' NICs are of one network, and whether a firewall on the way drops UDP from "
                + "169.254.72.70 to port 46357."
            return [Finding(.path, subject, .warning, text, remedy: remedy)]
        }
        if there.local { return [Finding(.path, subject, ok: "Both are on one bridge.")] }
        var findings: [Finding] = []
        if there.bleached {
            findings.append(
                Finding(
                    .pathColour, subject, .warning,
                    "The path takes the colour off (bit 0x04 of the traffic class), so that colour mode falls back to "
                        + "hold mode.",
                    remedy: "Take snapshots with --mode hold, or stop what rewrites the field (DSCP remarking) on the way."))
        } else {
            findings.append(Finding(.pathColour, subject, ok: "The colour survives."))
        }
        let back = arrivals[Channel(sender: channel.receiver, receiver: channel.sender)]
        guard let back else { return [Finding(.path, subject, ok: "Markers get through.")] + findings }
        // Each end's own clock took its share; the sum is the way there and back.
        let trip = UInt64(max(0, there.afterOwn.addingReportingOverflow(back.afterOwn).partialValue))
        findings.insert(Finding(.path, subject, ok: "Markers get through."), at: 0)
        let text = "There and back it takes \(DesktopFindings.milliseconds(trip)) ms"
        if trip >= slow {
            findings.append(
                Finding(
                    .pathTime, subject, .warning, text + ", or the first markers were lost.",
                    remedy: "Hold mode holds all traffic for that long: look at the network, or use --mode colour."))
        } else {
            findings.append(Finding(.pathTime, subject, ok: text + "."))
        }
        return findings
    }
}
