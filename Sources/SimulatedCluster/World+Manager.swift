import SnapshotProtocol

/// The driver around the coordinator.
extension World {
    func tellManager(_ event: SnapshotCoordinator.Event) {
        guard jobAlive else { return }
        for action in coordinator.handle(event, at: Tick(now / 1_000_000)) { perform(action) }
        if !early.isEmpty, coordinator.phase == .releasing {
            let kept = early
            early = []
            for (report, host) in kept { tellManager(.report(report, from: Names.host(host))) }
        }
    }

    func collect(_ message: Int, from host: Int, _ session: UInt16) {
        guard session > hosts[host].broken else { return }
        var (report, epoch) = reports[message]
        guard jobSessions[host] == session, epoch == plan.epoch || mutant == .staleReportBelieved else {
            note("a late report of d\(host) finds nobody: \(summary(report))")
            return
        }
        note("manager hears from d\(host): \(summary(report))")
        if case .failed(let failure) = report, failure.code == .internalError {
            violate(.progress, "manager and agents do not understand each other: \(failure)")
        }
        if mutant == .oldArmedBelieved, case .armed = report { report = .armed(mode) }
        if mutant == .releaseBarrierOmitted, coordinator.phase == .cutting || coordinator.phase == .settling {
            switch report {
            case .cut where !releasedEarly[host]:
                releasedEarly[host] = true
                send(.release, to: host)
            case .released, .saved:
                early.append((report, host))
                return
            default: break
            }
        }
        tellManager(.report(report, from: Names.host(host)))
    }

    private func perform(_ action: SnapshotCoordinator.Action) {
        switch action {
        case .send(let command, let host):
            let number = Names.number(host)
            if case .release = command, releasedEarly[number] { return }
            send(command, to: number)
        case .enter(let phase):
            note("manager enters \(phase.rawValue)")
            if phase == .saving, mutant == .manifestTooEarly { manifestListed = true }
            if let limit = limit(of: phase) { queue.push(.managerTick, at: now + (limit + 1) * 1_000_000) }
        case .fallBack(let reason):
            mode = .hold
            note("manager falls back: \(reason)")
        case .seal(let evidence, let verdict, let mode):
            sealedMode = mode
            self.verdict = verdict
            for channel in evidence.flatMap(\.gate.markersMissing) {
                unproven[Names.number(channel.sender) * memberCount + Names.number(channel.receiver)] = true
            }
            queue.push(.manifest, at: now + random.span(300, 3_000))
        case .discard:
            guard mutant != .discardForgotten else { return }
            collectGarbage()
        case .finished(let outcome):
            self.outcome = outcome
            switch outcome {
            case .sealed: note("manager: the snapshot is sealed")
            case .aborted(let failure): note("manager: the epoch is given up: \(failure)")
            }
        }
    }

    private func limit(of phase: SnapshotCoordinator.Phase) -> UInt64? {
        switch phase {
        case .preparing: deadlines.prepare
        case .arming, .flushing, .cutting, .settling, .releasing:
            (mode == .hold ? plan.holdBudget : plan.colourBudget) + deadlines.afterHoldBudget
        case .saving: deadlines.save
        case .finishing: deadlines.finish
        case .aborting: deadlines.abort
        case .idle, .sealing, .finished: nil
        }
    }

    private func send(_ command: SnapshotCommand, to host: Int) {
        let session = jobSessions[host]
        guard session > hosts[host].broken else { return }
        let arrival = controlArrival(host, after: hosts[host].lastCommand)
        hosts[host].lastCommand = arrival
        commands.append(command)
        queue.push(.command(host: UInt8(host), message: Int32(commands.count - 1), session: session), at: arrival)
        deliverCopy(host)
    }

    /// A report that was doubled comes again when the host has just been told to go on.
    private func deliverCopy(_ host: Int) {
        guard let copy = hosts[host].copy else { return }
        hosts[host].copy!.after -= 1
        guard copy.after == 1 else { return }
        hosts[host].copy = nil
        let happening = Happening.report(host: UInt8(host), message: copy.message, session: copy.session)
        queue.push(happening, at: now + random.span(100, 2_000))
    }

    func writeManifest() {
        guard jobAlive else { return }
        if manifestFails {
            tellManager(.manifestFailed(Failure(.repositoryNotWritable, "The manifest cannot be written.")))
        } else {
            manifestListed = true
            note("the manifest is written")
            tellManager(.manifestWritten)
        }
    }

    /// Removes the parts of an epoch without a manifest; a manager that starts again does it too.
    func collectGarbage() {
        discarded = true
        for member in members.indices { members[member].stored = false }
        note("what was stored is removed")
    }

    private func summary(_ report: SnapshotReport) -> String {
        switch report {
        case .prepared: "prepared"
        case .refused: "refused"
        case .armed(let mode): "armed: \(mode.rawValue)"
        case .flushed(_, let missing, let bleached):
            (missing.isEmpty ? "flushed" : "flushed but for \(missing)")
                + (bleached.isEmpty ? "" : ", bleached \(bleached)")
        case .cut: "cut"
        case .settled: "settled"
        case .released: "released"
        case .saved: "saved"
        case .sealed: "sealed"
        case .failed(let failure): "failed: \(failure)"
        case .aborted: "aborted"
        }
    }
}
