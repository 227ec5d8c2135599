import SnapshotProtocol

/// How actions read in a trace.
enum TraceText {
    static func line(_ action: SnapshotCoordinator.Action) -> String {
        switch action {
        case .send(let command, let host):
            switch command {
            case .abort(let reason): "manager -> \(host): abort \"\(reason)\""
            case .arm(.colour): "manager -> \(host): arm for colour"
            default: "manager -> \(host): \(command.name)"
            }
        case .fallBack(let reason): "manager: fall back to hold mode: \(reason)"
        case .enter(let phase): "manager: enter \(phase.rawValue)"
        case .seal(let evidence, let verdict, let mode):
            "manager: write manifest of \(evidence.count) members\(text(mode)), \(text(verdict))"
        case .discard: "manager: discard what is stored"
        case .finished(.sealed(let evidence, let verdict, let mode)):
            "manager: sealed \(evidence.count) members\(text(mode)), \(text(verdict))"
        case .finished(.aborted(let failure)): "manager: aborted, \(text(failure))"
        }
    }

    static func line(_ action: SnapshotParticipant.Action, by host: HostName) -> String {
        switch action {
        case .prepare(let member): "\(host): prepare \(member.name)"
        case .armGates(.hold): "\(host): arm gates"
        case .armGates(.colour): "\(host): arm gates for colour"
        case .heedColour: "\(host): heed colour"
        case .sendMarkers(.flush, _): "\(host): send markers"
        case .sendMarkers(let kind, let senders):
            "\(host): send markers of the \(kind.rawValue) from \(senders.map(\.rawValue).joined(separator: " "))"
        case .cut(let member): "\(host): cut \(member)"
        case .stopLateLog: "\(host): stop late log"
        case .releaseGates: "\(host): release gates"
        case .store(let member): "\(host): store \(member)"
        case .finish(let member): "\(host): finish \(member)"
        case .openGates: "\(host): open gates"
        case .abandon(let member): "\(host): abandon \(member)"
        case .report(let report): "\(host) -> manager: \(text(report))"
        case .end: "\(host): end"
        }
    }

    static func line(_ action: RestoreCoordinator.Action) -> String {
        switch action {
        case .send(let command, let host): "manager -> \(host): \(text(command))"
        case .enter(let phase): "manager: enter \(phase.rawValue)"
        case .finished(.restored(let replayed)): "manager: restored, \(replayed) segments replayed"
        case .finished(.refused(let failures)):
            "manager: refused, \(failures.map { text($0) }.joined(separator: "; "))"
        case .finished(.failed(let failure)): "manager: failed, \(text(failure))"
        }
    }

    static func line(_ action: RestoreParticipant.Action, by host: HostName) -> String {
        switch action {
        case .fence: "\(host): fence"
        case .load(let member): "\(host): load \(member.name)"
        case .replay(let member): "\(host): replay to \(member.name)"
        case .open: "\(host): open"
        case .start(let member): "\(host): start \(member)"
        case .discard(let member): "\(host): discard \(member)"
        case .liftFence: "\(host): lift fence"
        case .report(let report): "\(host) -> manager: \(text(report))"
        case .commit: "\(host): commit"
        case .end: "\(host): end"
        }
    }

    static func text(_ failure: Failure) -> String { "\(failure.code.rawValue) \"\(failure)\"" }

    private static func text(_ verdict: Verdict) -> String {
        let judgement =
            (verdict.consistent ? "consistent" : "inconsistent") + (verdict.logComplete ? ", log complete" : "")
        return verdict.reasons.isEmpty ? judgement : "\(judgement): \(verdict.reasons.joined(separator: " "))"
    }

    private static func text(_ mode: SnapshotMode) -> String { mode == .hold ? "" : " in \(mode.rawValue) mode" }

    private static func text(_ channels: [Channel]) -> String {
        channels.map(\.description).joined(separator: " ")
    }

    private static func text(_ report: SnapshotReport) -> String {
        switch report {
        case .prepared: "prepared"
        case .refused(let failures): "refused \(failures.map { text($0) }.joined(separator: "; "))"
        case .armed: "armed"
        case .flushed(_, let missing, let bleached):
            "flushed" + (missing.isEmpty ? "" : " but \(text(missing))")
                + (bleached.isEmpty ? "" : ", bleached \(text(bleached))")
        case .cut(let cuts): "cut \(cuts.map(\.member.rawValue).joined(separator: " "))"
        case .settled: "settled"
        case .released(let gates): "released \(gates.map(\.member.rawValue).joined(separator: " "))"
        case .saved(let members): "saved \(members.map(\.member.rawValue).joined(separator: " "))"
        case .sealed: "sealed"
        case .failed(let failure): "failed \(text(failure))"
        case .aborted: "aborted"
        }
    }

    private static func text(_ command: RestoreCommand) -> String {
        switch command {
        case .fence: "fence"
        case .load: "load"
        case .replay: "replay"
        case .open: "open"
        case .start: "start"
        case .finish: "finish"
        case .discard(let reason): "discard \"\(reason)\""
        }
    }

    private static func text(_ report: RestoreReport) -> String {
        switch report {
        case .fenced: "fenced"
        case .refused(let failures): "refused \(failures.map { text($0) }.joined(separator: "; "))"
        case .loaded: "loaded"
        case .replayed(let segments): "replayed \(segments)"
        case .opened: "opened"
        case .started: "started"
        case .finished: "finished"
        case .failed(let failure): "failed \(text(failure))"
        case .discarded: "discarded"
        }
    }
}
