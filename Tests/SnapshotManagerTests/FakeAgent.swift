import Glibc
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import NIOConcurrencyHelpers
import SnapshotProtocol
import SnapshotStore
import WireProtocol

/// An agent without guests: speaks the real stream, stores real parts, and fails where it is told to.
final class FakeAgent: Sendable {
    enum Step: String, Sendable, CaseIterable {
        case prepare, arm, flush, cut, settle, release, save, seal, abort
        case fence, load, replay, open, start, finish, discard
        case examine, armPaths, probePaths, endPaths
    }

    enum Reaction: Sendable {
        case fail(Failure)
        case refuse([Failure])
        /// Breaks the connection off.
        case vanish
        case silence
        /// Says, of an epoch in colour mode, that a path takes the colour off.
        case bleach(Channel)
        /// Answers when the gate is opened.
        case wait(Gate)
    }

    /// Holds an answer back until the test lets it go.
    final class Gate: Sendable {
        let reached: AsyncStream<Void>
        private let arrival: AsyncStream<Void>.Continuation
        private let departure: AsyncStream<Void>.Continuation
        private let leave: AsyncStream<Void>

        init() {
            (reached, arrival) = AsyncStream.makeStream(of: Void.self)
            (leave, departure) = AsyncStream.makeStream(of: Void.self)
        }

        func open() { departure.finish() }

        fileprivate func pass() async {
            arrival.yield()
            for await _ in leave {}
        }
    }

    let host: HostName
    /// Everything that the manager said, by step.
    var heard: [Step] { state.withLockedValue { $0.heard } }
    var restorePlan: RestorePlan? { state.withLockedValue { $0.restorePlan } }
    /// How the session ended, when it has.
    var ended: [Failure]? { state.withLockedValue { $0.ended } }

    private struct State {
        var heard: [Step] = []
        var plan: SnapshotPlan?
        /// In which the gates were armed last.
        var mode = SnapshotMode.hold
        var restorePlan: RestorePlan?
        var task: Task<Void, Never>?
        var ended: [Failure]?
        var machines: [MachineSummary]
        var reactions: [Step: Reaction]
        var findings: [Finding] = []
        /// By how many nanoseconds the clock is wrong.
        var clock: Int64 = 0
        var pathTest: PathTestPlan?
        /// Channels of a path test through which nothing comes.
        var deaf: Set<Channel> = []
    }

    private let state: NIOLockedValueBox<State>
    private let identity: AgentIdentity
    private let claimed: String
    private let port: Int
    private let repository: String
    private let offers: [String: String]

    init(
        host: String, claiming claimed: String? = nil, identity: AgentIdentity, port: Int, repository: String,
        machines: [MachineSummary], offers: [String: String] = [:], reactions: [Step: Reaction] = [:]
    ) {
        self.host = HostName(host)
        self.claimed = claimed ?? host
        self.identity = identity
        self.port = port
        self.repository = repository
        self.offers = offers
        state = NIOLockedValueBox(State(machines: machines, reactions: reactions))
    }

    func set(_ machines: [MachineSummary]) { state.withLockedValue { $0.machines = machines } }

    func find(_ findings: [Finding]) { state.withLockedValue { $0.findings = findings } }

    func setClock(aheadBy nanoseconds: Int64) { state.withLockedValue { $0.clock = nanoseconds } }

    func deafen(_ channel: Channel) { state.withLockedValue { _ = $0.deaf.insert(channel) } }

    private static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    private func pathTestAnswer(_ command: PathTestCommand) -> (Step, PathTestReport) {
        switch command {
        case .arm(let plan):
            state.withLockedValue { $0.pathTest = plan }
            return (.armPaths, .armed)
        case .probe: return (.probePaths, .heard)
        case .end:
            let (plan, deaf) = state.withLockedValue { ($0.pathTest, $0.deaf) }
            let own = Set(plan?.members(on: host).map(\.name) ?? [])
            let arrivals = (plan?.channels ?? []).filter { own.contains($0.receiver) && !deaf.contains($0) }.map {
                ProbeArrival(channel: $0, afterOwn: 1_000_000, bleached: false, local: false)
            }
            return (.endPaths, .ended(arrivals))
        }
    }

    func dial() {
        let task = Task {
            do {
                try await session()
                state.withLockedValue { $0.ended = [] }
            } catch {
                let failures = (error as? RPCError).flatMap { FailureTrailer.failures(in: $0) }
                state.withLockedValue { $0.ended = failures ?? [Failure(.unreachable, "\(error)")] }
            }
        }
        state.withLockedValue { $0.task = task }
    }

    func hangUp() { state.withLockedValue { $0.task }?.cancel() }

    /// Waits for the end of the session, and says how it came.
    func end() async -> [Failure] {
        await state.withLockedValue { $0.task }?.value
        return ended ?? []
    }

    private func session() async throws {
        let transport = try HTTP2ClientTransport.Posix(
            target: .ipv4(address: "127.0.0.1", port: port),
            transportSecurity: .mTLS(
                certificateChain: [.bytes(identity.certificate, format: .der)],
                privateKey: .bytes(Array(identity.key.utf8), format: .pem)
            ) { tls in
                tls.trustRoots = .certificates([.bytes(identity.authority, format: .der)])
            })
        try await withGRPCClient(transport: transport) { client in
            let (outgoing, sink) = AsyncStream.makeStream(of: AgentMessage.self)
            sink.yield(
                .hello(
                    AgentHello(host: HostName(claimed), version: "test", hypervisors: ["fake"], offers: offers)))
            let gateway = Holdfast_V1_AgentGateway.Client(wrapping: client)
            try await gateway.session(
                requestProducer: { writer in
                    for await message in outgoing { try await writer.write(Holdfast_V1_AgentMessage(message)) }
                },
                onResponse: { response in
                    for try await wire in response.messages {
                        try await self.answer(try ManagerMessage(wire)) { sink.yield($0) }
                    }
                })
        }
    }

    private struct Vanished: Error {}

    private func answer(_ message: ManagerMessage, _ send: (AgentMessage) -> Void) async throws {
        switch message {
        case .listMachines(let request):
            send(.machines(request: request, .success(state.withLockedValue { $0.machines })))
        case .examine(let request, let machines):
            state.withLockedValue { $0.heard.append(.examine) }
            let findings = state.withLockedValue { $0.findings }
            let wanted = findings.filter { $0.subject.machine.map { machines.isEmpty || machines.contains($0) } ?? true }
            send(.examination(request: request, .success(wanted)))
        case .tellTime(let request):
            send(.time(request: request, UInt64(Int64(clamping: FakeAgent.now) + state.withLockedValue { $0.clock })))
        case .pathTest(let id, let command):
            let (step, report) = pathTestAnswer(command)
            try await react(step, to: report) {
                send(.pathTest(id: id, $0))
            } failing: {
                .failed($0)
            } refusing: {
                .failed($0[0])
            }
        case .snapshot(let cluster, let epoch, let command):
            let (step, report) = try snapshotAnswer(command)
            try await react(step, to: report) {
                send(.snapshot(cluster: cluster, epoch: epoch, $0))
            } failing: {
                .failed($0)
            } refusing: {
                .refused($0)
            }
            if case .release = command {
                send(.progress(cluster: cluster, epoch: epoch, member: MemberName("a"), stored: 1, total: 2))
                try await react(.save, to: .saved(store())) {
                    send(.snapshot(cluster: cluster, epoch: epoch, $0))
                } failing: {
                    .failed($0)
                } refusing: {
                    .refused($0)
                }
            }
        case .restore(let id, let command):
            let (step, report) = restoreAnswer(command)
            try await react(step, to: report) {
                send(.restore(id: id, $0))
            } failing: {
                .failed($0)
            } refusing: {
                .refused($0)
            }
        }
    }

    func setReaction(_ reaction: Reaction?, to step: Step) {
        state.withLockedValue { $0.reactions[step] = reaction }
    }

    private func reaction(to step: Step) -> Reaction? { state.withLockedValue { $0.reactions[step] } }

    private func react<Report>(
        _ step: Step, to report: Report, _ send: (Report) -> Void, failing: (Failure) -> Report,
        refusing: ([Failure]) -> Report
    ) async throws {
        state.withLockedValue { $0.heard.append(step) }
        switch reaction(to: step) {
        case nil, .bleach: send(report)
        case .fail(let failure): send(failing(failure))
        case .refuse(let failures): send(refusing(failures))
        case .vanish: throw Vanished()
        case .silence: break
        case .wait(let gate):
            await gate.pass()
            send(report)
        }
    }

    private var mine: [PlannedMember] { state.withLockedValue { $0.plan?.members(on: host) ?? [] } }

    private func snapshotAnswer(_ command: SnapshotCommand) throws -> (Step, SnapshotReport) {
        switch command {
        case .prepare(let plan):
            state.withLockedValue {
                $0.plan = plan
                $0.mode = plan.mode
            }
            return (.prepare, .prepared)
        case .arm(let mode):
            state.withLockedValue { $0.mode = mode }
            return (.arm, .armed(mode))
        case .flush:
            if case .bleach(let channel) = reaction(to: .flush), state.withLockedValue({ $0.mode }) == .colour {
                return (.flush, .flushed(.colour, bleached: [channel]))
            }
            return (.flush, .flushed(state.withLockedValue { $0.mode }))
        case .cut:
            return (
                .cut,
                .cut(
                    mine.map {
                        MemberCut(
                            member: $0.name, armedAt: 1_000, cutStartedAt: 2_000, cutEndedAt: 3_000,
                            pause: 1_000_000, method: "background")
                    })
            )
        case .settle: return (.settle, .settled)
        case .release:
            return (
                .release,
                .released(
                    mine.map {
                        GateAttestation(member: $0.name, held: 3, heldBeforeCut: 1, releasedAt: 4_000, holdTime: 5)
                    })
            )
        case .seal: return (.seal, .sealed)
        case .abort: return (.abort, .aborted)
        }
    }

    private func store() throws -> [StoredMember] {
        let repository = try DirectoryRepository(opening: self.repository)
        let snapshot = state.withLockedValue { $0.plan?.snapshot ?? "" }
        return try mine.map { member in
            let parts = try [("memory", "memory.img"), ("domain", "domain.xml")].map { kind, file in
                let writer = try repository.partWriter(
                    snapshot: snapshot, member: member.name, file: file, kind: kind)
                try Array("\(kind) of \(member.name)".utf8).withUnsafeBytes { bytes in try writer.write(bytes) }
                return try writer.finish()
            }
            return StoredMember(
                member: member.name, parts: parts, savedAt: 5_000, requirements: ["hypervisor": "fake"])
        }
    }

    private func restoreAnswer(_ command: RestoreCommand) -> (Step, RestoreReport) {
        switch command {
        case .fence(let plan):
            state.withLockedValue { $0.restorePlan = plan }
            return (.fence, .fenced)
        case .load: return (.load, .loaded)
        case .replay: return (.replay, .replayed(segments: 2))
        case .open: return (.open, .opened)
        case .start: return (.start, .started)
        case .finish: return (.finish, .finished)
        case .discard: return (.discard, .discarded)
        }
    }
}
