import Hypervisor
import Logging
import NIOConcurrencyHelpers
import PacketGate
import Packets
package import SnapshotProtocol
import SnapshotStore
package import WireProtocol

/// Performs what a `SnapshotParticipant` decides, for one epoch.
///
/// One task owns the machine; everything that happens comes to it through one stream, in one order. Work for one
/// member is done one piece at a time, except that giving up also ends the piece that is under way.
package final class EpochRunner: Sendable {
    private struct Work: Sendable {
        var plan: SnapshotPlan?
        var gate: EpochGate?
        var armedAt: UInt64 = 0
        var members: [MemberName: MemberWork] = [:]
        var preparation: Task<Void, Never>?
        var pieces: [MemberName: Task<Void, Never>] = [:]
        /// What is done with the gate, in order.
        var lane: Task<Void, Never>?
        var markersWaiting: Set<MarkerBatch> = []
    }

    private struct MarkerBatch: Hashable {
        let kind: MarkerKind
        let senders: Set<MemberName>
    }

    private let services: DesktopServices
    private let cluster: String
    private let epoch: Epoch
    private let send: @Sendable (AgentMessage) -> Void
    private let events: AsyncStream<SnapshotParticipant.Event>
    private let continuation: AsyncStream<SnapshotParticipant.Event>.Continuation
    private let work = NIOLockedValueBox(Work())
    private let logger: Logger

    package init(
        services: DesktopServices, cluster: String, epoch: Epoch, send: @escaping @Sendable (AgentMessage) -> Void
    ) {
        self.services = services
        self.cluster = cluster
        self.epoch = epoch
        self.send = send
        (events, continuation) = AsyncStream.makeStream()
        var logger = services.logger
        logger[metadataKey: "cluster"] = "\(cluster)"
        logger[metadataKey: "epoch"] = "\(epoch)"
        self.logger = logger
    }

    package func feed(_ event: SnapshotParticipant.Event) { continuation.yield(event) }

    /// Runs the epoch to its end.
    package func run() async {
        var machine = SnapshotParticipant(host: services.host)
        let origin = ContinuousClock.now
        let clock = Task { [continuation] in
            while !Task.isCancelled {
                try? await Task.sleep(for: .milliseconds(10))
                continuation.yield(.tick)
            }
        }
        defer { clock.cancel() }
        for await event in events {
            let passed = origin.duration(to: .now) / .milliseconds(1)
            let before = machine.phase
            let actions = machine.handle(event, at: Tick(UInt64(passed)))
            if machine.phase != before {
                logger.debug("phase", metadata: ["phase": "\(machine.phase)", "ms": "\(passed)"])
            }
            if perform(actions) { break }
        }
        continuation.finish()
        close()
    }

    /// Starts what the machine wants; true when it has ended.
    private func perform(_ actions: [SnapshotParticipant.Action]) -> Bool {
        var planned: [PlannedMember] = []
        var ended = false
        for action in actions {
            switch action {
            case .prepare(let member): planned.append(member)
            case .armGates(let mode): armGates(mode)
            case .heedColour: gate?.heedColour()
            case .sendMarkers(let kind, let senders): sendMarkers(kind, from: senders)
            case .cut(let name): cut(name)
            case .stopLateLog: gate?.stopLateLog()
            case .releaseGates: releaseGates()
            case .store(let name): store(name)
            case .finish(let name):
                end(name) {
                    await $0.finish()
                } then: {
                    .memberFinished(name)
                }
            case .openGates: openGates()
            case .abandon(let name): abandon(name)
            case .report(let report):
                if case .failed(let failure) = report {
                    logger.warning("epoch given up", metadata: ["why": "\(failure)"])
                }
                send(.snapshot(cluster: cluster, epoch: epoch, report))
            case .end: ended = true
            }
        }
        if !planned.isEmpty { prepare(planned) }
        return ended
    }

    /// The plan is in the command, and the machine does not hand it back; the runner keeps what it needs of it.
    package func begin(with plan: SnapshotPlan) {
        work.withLockedValue { $0.plan = plan }
        feed(.command(.prepare(plan)))
    }

    private var gate: EpochGate? { work.withLockedValue(\.gate) }

    // MARK: Prepare

    private func prepare(_ members: [PlannedMember]) {
        let task = Task {
            do {
                guard let plan = work.withLockedValue(\.plan) else { return }
                let machines = try await MemberPreflight(
                    configuration: services.configuration, hypervisor: services.hypervisor
                ).check(members)
                for member in members {
                    try Task.checkCancellation()
                    let prepared = try await MemberWork.prepare(member, plan: plan, services: services)
                    work.withLockedValue { $0.members[member.name] = prepared }
                }
                try await openGate(for: members, machines: machines, plan: plan)
                for member in members { feed(.memberPrepared(member.name)) }
            } catch {
                logger.notice("preparation failed", metadata: ["error": "\(error)"])
                for event in Refusals(error).events(for: members.map(\.name)) { feed(event) }
            }
        }
        work.withLockedValue { $0.preparation = task }
    }

    private func openGate(
        for members: [PlannedMember], machines: [MemberName: VirtualMachine], plan: SnapshotPlan
    ) async throws {
        let epochPlan = try EpochPlan(
            epoch: plan.epoch.rawValue, key: plan.markerKey, own: members, machines: machines, members: plan.members,
            holdBudget: plan.holdBudget, colourBudget: plan.colourBudget)
        let gate = try await BlockingWork.run { [gate = services.gate] in try gate.openEpoch(epochPlan) }
        work.withLockedValue { $0.gate = gate }
        Task {
            for await event in gate.events {
                switch event {
                case .markerArrived(let sender, let receiver, let kind, let bleached, let beforeCut):
                    let channel = Channel(sender: MemberName(sender), receiver: MemberName(receiver))
                    feed(
                        .markerArrived(channel, MarkerKind(kind), bleached: bleached, beforeCut: beforeCut))
                case .colourArrived(let member):
                    // Held by the gate; what has the member cut is the marker behind it, which can be believed.
                    logger.debug("a coloured segment waits", metadata: ["member": "\(member)"])
                case .broken(let fault): feed(.failed(fault.failure))
                }
            }
        }
    }

    // MARK: Arm to release

    private func armGates(_ mode: SnapshotMode) {
        offGate("arm the gates") { [self] gate in
            try gate.arm(GateMode(mode))
            work.withLockedValue { $0.armedAt = WallClock.now() }
            feed(.gatesArmed)
        }
    }

    private func sendMarkers(_ kind: MarkerKind, from senders: [MemberName]) {
        // A repetition that finds its forerunner still waiting is of no use.
        let batch = MarkerBatch(kind: kind, senders: Set(senders))
        guard work.withLockedValue({ $0.markersWaiting.insert(batch).inserted }) else { return }
        offGate("send markers") { [self] gate in
            work.withLockedValue { _ = $0.markersWaiting.remove(batch) }
            try gate.sendMarkers(Marker.Kind(kind), from: Set(senders.map(\.rawValue)))
        }
    }

    private func offGate(_ what: String, _ body: @escaping @Sendable (EpochGate) throws -> Void) {
        guard let gate else {
            feed(.failed(Failure(.internalError, "There is no gate to \(what).")))
            return
        }
        // One after the other, in the order in which the machine wanted them.
        work.withLockedValue { work in
            let former = work.lane
            work.lane = Task {
                await former?.value
                do {
                    try await BlockingWork.run { try body(gate) }
                } catch {
                    feed(.failed(failure(of: error, member: nil)))
                }
            }
        }
    }

    private func cut(_ name: MemberName) {
        guard let gate, let member = work.withLockedValue({ $0.members[name] }) else {
            feed(.failed(Failure(.internalError, member: name, "The member was not prepared.")))
            return
        }
        let armedAt = work.withLockedValue(\.armedAt)
        piece(of: name) { [self] in
            gate.beginCut(name.rawValue)
            do {
                let times = try await member.cut.perform { try gate.notePlace(name.rawValue) }
                feed(
                    .memberCut(
                        MemberCut(
                            member: name, armedAt: armedAt, cutStartedAt: times.startedAt, cutEndedAt: times.endedAt,
                            pause: times.pause, method: member.cut.method.description)))
            } catch {
                gate.cancelCut(name.rawValue)
                feed(.failed(failure(of: error, member: name)))
            }
        }
    }

    private func releaseGates() {
        offGate("release") { [self] gate in
            let evidence = try gate.release()
            feed(.gatesReleased(evidence.map(GateAttestation.init)))
        }
    }

    private func openGates() {
        let gate = self.gate
        let preparation = work.withLockedValue(\.preparation)
        Task {
            preparation?.cancel()
            if let gate {
                try? await BlockingWork.run { gate.close() }
            }
            // A preparation that is still under way may open a gate a moment from now.
            await preparation?.value
            if let late = self.gate {
                try? await BlockingWork.run { late.close() }
            }
            feed(.gatesOpened)
        }
    }

    // MARK: Store and end

    private func store(_ name: MemberName) {
        guard let gate, let member = work.withLockedValue({ $0.members[name] }) else {
            feed(.failed(Failure(.internalError, member: name, "The member was not prepared.")))
            return
        }
        piece(of: name) { [self] in
            do {
                let log = try gate.channelLog(of: name.rawValue)
                let stored = try await member.store(channelLog: log) { [send, cluster, epoch] done, total in
                    send(.progress(cluster: cluster, epoch: epoch, member: name, stored: done, total: total))
                }
                feed(.memberStored(stored))
            } catch {
                feed(.failed(failure(of: error, member: name)))
            }
        }
    }

    private func abandon(_ name: MemberName) {
        let (preparation, under) = work.withLockedValue { ($0.preparation, $0.pieces[name]) }
        Task {
            preparation?.cancel()
            under?.cancel()
            await preparation?.value
            let member = work.withLockedValue { $0.members[name] }
            // Before the piece under way has ended: it may be waiting for an image that only this cancels.
            await member?.abandon()
            await under?.value
            feed(.memberAbandoned(name))
        }
    }

    private func end(
        _ name: MemberName, _ body: @escaping @Sendable (MemberWork) async -> Void,
        then event: @escaping @Sendable () -> SnapshotParticipant.Event
    ) {
        let member = work.withLockedValue { $0.members[name] }
        piece(of: name) { [self] in
            if let member { await body(member) }
            feed(event())
        }
    }

    private func piece(of name: MemberName, _ body: @escaping @Sendable () async -> Void) {
        work.withLockedValue { work in
            let former = work.pieces[name]
            work.pieces[name] = Task {
                await former?.value
                await body()
            }
        }
    }

    private func close() {
        let gate = work.withLockedValue { work in
            defer { work.gate = nil }
            return work.gate
        }
        if let gate { Task { try? await BlockingWork.run { gate.close() } } }
    }
}
