import SnapshotProtocol

/// What participants report, on its way to the manager.
extension World {
    /// When a report of an epoch or of a restore reaches the manager, behind those that were sent before it; nil when it
    /// never does.
    func arrival<Report>(of report: Report, from host: Int, _ session: UInt16) -> UInt64? {
        // A session that the agent has closed takes nothing more.
        guard session == hosts[host].session, session > hosts[host].broken else { return nil }
        if hosts[host].losesReport {
            hosts[host].losesReport = false
            note("a report of d\(host) is lost: \(report)")
            return nil
        }
        let arrival = controlArrival(host, after: hosts[host].lastReport)
        hosts[host].lastReport = arrival
        return arrival
    }

    func send(_ report: SnapshotReport, from host: Int, _ session: UInt16) {
        let report = mutant == nil ? report : falsified(report, of: host)
        guard let arrival = arrival(of: report, from: host, session) else { return }
        post(report, of: plan.epoch, from: host, session, at: arrival)
        guard hosts[host].doublesReport else { return }
        hosts[host].doublesReport = false
        if random.chance(500) {
            post(report, of: plan.epoch, from: host, session, at: arrival + random.span(100, 40_000))
        } else {
            hosts[host].copy = (Int32(reports.count - 1), session, random.chance(300) ? 1 : 2)
        }
    }

    func post(_ report: SnapshotReport, of epoch: Epoch, from host: Int, _ session: UInt16, at time: UInt64) {
        reports.append((report, epoch))
        queue.push(.report(host: UInt8(host), message: Int32(reports.count - 1), session: session), at: time)
    }

    /// What a driver with a defect makes of its machine's report.
    private func falsified(_ report: SnapshotReport, of host: Int) -> SnapshotReport {
        switch (mutant, report) {
        case (.missingMarkersHidden, .flushed(let mode, _, let bleached)): return .flushed(mode, bleached: bleached)
        case (.bleachedProbesBelieved, .flushed(let mode, let missing, _)): return .flushed(mode, missing: missing)
        case (.missingCutMarkersHidden, .released(var attestations)) where hosts[host].mode == .colour:
            for index in attestations.indices { attestations[index].markersMissing = [] }
            return .released(attestations)
        case (.colouringEndsAtCut, .cut):
            for member in members.indices where members[member].host == host { members[member].isColouring = false }
            return report
        default: return report
        }
    }
}
