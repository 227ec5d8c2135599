import Hypervisor
import Logging
import NIOConcurrencyHelpers
import PacketGate
import Packets
import SnapshotProtocol
import WireProtocol

/// Performs what a `PathTestParticipant` decides, for one path test.
///
/// The gates are those of an epoch in colour mode, with the same watchdog, and are never told of a cut: what members
/// emit is passed on at once, and nothing that comes for them waits.
final class PathTestRunner: Sendable {
    private struct Work: Sendable {
        var gate: EpochGate?
        /// What is done with the gate, in order.
        var lane: Task<Void, Never>?
    }

    private let services: DesktopServices
    private let id: UInt64
    private let send: @Sendable (AgentMessage) -> Void
    private let events: AsyncStream<PathTestParticipant.Event>
    private let continuation: AsyncStream<PathTestParticipant.Event>.Continuation
    private let work = NIOLockedValueBox(Work())

    init(services: DesktopServices, id: UInt64, send: @escaping @Sendable (AgentMessage) -> Void) {
        self.services = services
        self.id = id
        self.send = send
        (events, continuation) = AsyncStream.makeStream()
    }

    func feed(_ event: PathTestParticipant.Event) { continuation.yield(event) }

    /// Runs the test to its end, unless an epoch or a restore is under way on this desktop.
    func run(in room: TrialRoom) async {
        let ran = await room.trial(whenWanted: { [continuation] in continuation.yield(.wanted) }) {
            await run()
            return true
        }
        guard ran == nil else { return }
        let text = "\(services.host) works on a snapshot, a restore or another test. Try again when it has ended."
        send(.pathTest(id: id, .failed(Failure(.busy, text))))
        send(.pathTest(id: id, .ended([])))
    }

    private func run() async {
        var machine = PathTestParticipant(host: services.host)
        let origin = ContinuousClock.now
        let clock = Task { [continuation] in
            while !Task.isCancelled {
                try? await Task.sleep(for: .milliseconds(10))
                continuation.yield(.tick)
            }
        }
        defer { clock.cancel() }
        for await event in events {
            let passed = UInt64(clamping: Int64(origin.duration(to: .now) / .milliseconds(1)))
            for action in machine.handle(event, at: Tick(passed)) { perform(action) }
            if machine.phase == .finished { break }
        }
        continuation.finish()
    }

    private func perform(_ action: PathTestParticipant.Action) {
        switch action {
        case .arm(let plan): inLane { [self] in try await arm(plan) }
        case .sendProbes:
            inLane { [self] in
                guard let gate = work.withLockedValue(\.gate) else { return }
                try await BlockingWork.run { try gate.sendMarkers(.probe, from: Set(gate.members)) }
            }
        case .close: inLane { [self] in feed(.closed(await close())) }
        case .report(let report):
            if case .failed(let failure) = report {
                services.logger.notice("path test ended early", metadata: ["why": "\(failure)"])
            }
            send(.pathTest(id: id, report))
        case .end: break
        }
    }

    private func inLane(_ body: @escaping @Sendable () async throws -> Void) {
        work.withLockedValue { work in
            let former = work.lane
            work.lane = Task {
                await former?.value
                do {
                    try await body()
                } catch {
                    feed(.failed(failure(of: error, member: nil)))
                }
            }
        }
    }

    private func arm(_ plan: PathTestPlan) async throws {
        let own = plan.members(on: services.host)
        var machines: [MemberName: VirtualMachine] = [:]
        for member in own {
            let machine = try await services.hypervisor.machine(member.machine)
            if let blocker = services.configuration.refusal(of: machine) ?? Machines.blockers(of: machine).first {
                throw blocker
            }
            machines[member.name] = machine
        }
        let gatePlan = try EpochPlan(
            epoch: plan.id, key: plan.markerKey, own: own, machines: machines, members: plan.members,
            holdBudget: plan.budget, colourBudget: plan.budget)
        let gate = try await BlockingWork.run { [gate = services.gate] in try gate.openEpoch(gatePlan) }
        work.withLockedValue { $0.gate = gate }
        Task {
            for await event in gate.events {
                switch event {
                case .markerArrived(let sender, let receiver, .probe, _, _):
                    feed(.probeArrived(Channel(sender: MemberName(sender), receiver: MemberName(receiver))))
                case .markerArrived, .colourArrived: break
                case .broken(let fault): feed(.failed(fault.failure))
                }
            }
        }
        try await BlockingWork.run { try gate.arm(.colour) }
        feed(.gatesArmed)
    }

    private func close() async -> [ProbeArrival] {
        guard let gate = work.withLockedValue(\.gate) else { return [] }
        let arrivals = gate.probeTimes().compactMap { times in
            times.afterOwn.map {
                ProbeArrival(
                    channel: Channel(sender: MemberName(times.sender), receiver: MemberName(times.receiver)),
                    afterOwn: $0, bleached: times.bleached, local: times.isLocal)
            }
        }
        _ = try? await BlockingWork.run { gate.close() }
        return arrivals
    }
}
