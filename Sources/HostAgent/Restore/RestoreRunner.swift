import Foundation
package import Hypervisor
package import Logging
import NIOConcurrencyHelpers
import PacketGate
package import SnapshotProtocol
import SnapshotStore
package import WireProtocol

/// Performs what a `RestoreParticipant` decides, for one restore.
package final class RestoreRunner: Sendable {
    private struct Work: Sendable {
        var plan: RestorePlan?
        var loaded: [MemberName: VirtualMachine] = [:]
        var pieces: [MemberName: Task<Void, Never>] = [:]
        /// What is done with the fence, in order.
        var lane: Task<Void, Never>?
        /// Members that could not be discarded: the journal of the restore must stay.
        var remaining: Set<MemberName> = []
    }

    /// How long a discard tries to reach a hypervisor that is just restarted; less than the manager waits for it.
    private static let discardPatience = Duration.seconds(25)
    private static let discardPause = Duration.milliseconds(200)

    private let configuration: AgentConfiguration
    private let gate: any RestoreGate
    private let hypervisor: any HypervisorDriver
    private let logger: Logger
    private let id: UInt64
    private let send: @Sendable (AgentMessage) -> Void
    private let events: AsyncStream<RestoreParticipant.Event>
    private let continuation: AsyncStream<RestoreParticipant.Event>.Continuation
    private let work = NIOLockedValueBox(Work())

    package init(
        configuration: AgentConfiguration, gate: any RestoreGate, hypervisor: any HypervisorDriver, logger: Logger,
        id: UInt64, send: @escaping @Sendable (AgentMessage) -> Void
    ) {
        self.configuration = configuration
        self.gate = gate
        self.hypervisor = hypervisor
        self.logger = logger
        self.id = id
        self.send = send
        (events, continuation) = AsyncStream.makeStream()
    }

    package func feed(_ event: RestoreParticipant.Event) { continuation.yield(event) }

    package func run() async {
        var machine = RestoreParticipant(host: configuration.host)
        for await event in events {
            var ended = false
            for action in machine.handle(event) {
                if case .end = action { ended = true } else { await perform(action) }
            }
            if ended { break }
        }
        continuation.finish()
        // Committed or discarded: either way nothing is left that an agent would have to put right.
        let (plan, isClean) = work.withLockedValue { ($0.plan, $0.remaining.isEmpty) }
        if let plan, isClean { journal(of: plan).remove(from: configuration.state) }
    }

    private func perform(_ action: RestoreParticipant.Action) async {
        switch action {
        case .fence(let plan): attempt(nil) { try await self.fence(plan) }
        case .load(let member): piece(of: member.name) { try await self.load(member) }
        case .replay(let member): piece(of: member.name) { try await self.replay(member) }
        case .open: attempt(nil) { try await self.open() }
        case .start(let name):
            piece(of: name) {
                guard let machine = self.loaded(name) else { return }
                let told = WallClock.now()
                try await self.hypervisor.resume(machine.uuid)
                self.logger.debug(
                    "member runs",
                    metadata: ["vm": "\(name)", "told_us": "\(told / 1000)", "ran_us": "\(WallClock.now() / 1000)"])
                self.feed(.memberStarted(name))
                WriteErrorWatch(hypervisor: self.hypervisor, logger: self.logger).begin(machine.uuid)
            }
        case .discard(let name): discard(name)
        case .liftFence:
            inLane { [self] in
                do {
                    try await BlockingWork.run { [gate = gate] in try gate.liftFence() }
                } catch {
                    logger.error("fence not lifted", metadata: ["error": "\(error)"])
                }
                feed(.fenceLifted)
            }
        case .report(let report):
            if case .failed(let failure) = report {
                logger.warning("restore failed", metadata: ["why": "\(failure)"])
            }
            send(.restore(id: id, report))
        case .commit: await commit()
        case .end: break
        }
    }

    private func attempt(_ member: MemberName?, _ body: @escaping @Sendable () async throws -> Void) {
        inLane { [self] in
            do {
                try await body()
            } catch {
                feed(.failed(failure(of: error, member: member)))
            }
        }
    }

    private func inLane(_ body: @escaping @Sendable () async -> Void) {
        work.withLockedValue { work in
            let former = work.lane
            work.lane = Task {
                await former?.value
                await body()
            }
        }
    }

    private func piece(of name: MemberName, _ body: @escaping @Sendable () async throws -> Void) {
        work.withLockedValue { work in
            let former = work.pieces[name]
            work.pieces[name] = Task {
                await former?.value
                do {
                    try await body()
                } catch {
                    feed(.failed(failure(of: error, member: name)))
                }
            }
        }
    }

    private func loaded(_ name: MemberName) -> VirtualMachine? { work.withLockedValue { $0.loaded[name] } }

    // MARK: Fence

    private func fence(_ plan: RestorePlan) async throws {
        work.withLockedValue { $0.plan = plan }
        // Each by itself: a list lacks the VMs of a hypervisor that is out of order.
        var present: [VirtualMachine] = []
        for member in plan.members {
            if let machine = try await self.present(member), machine.state != .off { present.append(machine) }
        }
        if !present.isEmpty && !plan.replaceRunning {
            feed(
                .originalsRunning(
                    present.map { machine in
                        let text =
                            "The VM runs on \(configuration.host). Stop it, or restore with --replace, which stops it and "
                            + "drops what it has not yet saved."
                        return Failure(.originalsRunning, member: MemberName(machine.name), text)
                    }))
            return
        }
        for machine in present where !configuration.allows(machine.name) {
            let text = "\(configuration.host) does not allow this VM to be stopped. See `allow` in its configuration."
            throw Failure(.noRights, member: MemberName(machine.name), text)
        }
        // First silence, then the plug: between the two nothing of the old timeline may slip out.
        let addresses = try plan.members.flatMap(\.nics).map { try $0.address }
        try await BlockingWork.run { [gate = gate] in
            try gate.fence(hardwareAddresses: addresses, bridges: DesktopBridges.all())
        }
        for machine in present { try await hypervisor.destroy(machine.uuid) }
        feed(.fenced)
    }

    // MARK: Load

    private func folder(of member: RestoredMember) -> String {
        "\(configuration.storage)/restored/\(member.machine)"
    }

    private func journal(of plan: RestorePlan) -> RestoreJournal {
        RestoreJournal(
            name: "\(plan.snapshot)-\(id)",
            members: plan.members(on: configuration.host).map {
                RestoreJournal.Member(machine: $0.machine, folder: "\(folder(of: $0))/\(plan.snapshot)-\(id)")
            })
    }

    private func load(_ member: RestoredMember) async throws {
        guard configuration.allows(member.name.rawValue) else {
            let text =
                "\(configuration.host) does not allow this VM. Add it to `allow` in the agent's configuration there."
            throw Failure(.noRights, member: member.name, text)
        }
        guard let plan = work.withLockedValue(\.plan) else { return }
        let repository = try configuration.openRepository()
        let folder = "\(folder(of: member))/\(plan.snapshot)-\(id)"
        try journal(of: plan).write(in: configuration.state)
        let request = try await BlockingWork.run { () throws -> LoadRequest in
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            var disks: [String: String] = [:]
            for part in member.parts {
                guard let target = part.diskTarget else { continue }
                let path = "\(folder)/\(target).qcow2"
                try repository.copy(part, of: plan.snapshot, to: path)
                disks[target] = path
            }
            func path(_ kind: String) throws -> String {
                guard let part = member.parts.first(where: { $0.kind == kind }) else {
                    throw Failure(.snapshotDamaged, member: member.name, "The snapshot has no part `\(kind)`.")
                }
                return try repository.path(of: part, in: plan.snapshot)
            }
            let description = try String(contentsOfFile: try path("domain"), encoding: .utf8)
            return LoadRequest(
                uuid: member.machine, name: member.name.rawValue, image: try path("memory"), description: description,
                disks: disks, driver: member.requirements["driver"] ?? LoadRequest.formerDriver)
        }
        try Task.checkCancellation()
        let machine = try await hypervisor.load(request)
        work.withLockedValue { $0.loaded[member.name] = machine }
        feed(.memberLoaded(member.name))
    }

    // MARK: Replay, open

    private func replay(_ member: RestoredMember) async throws {
        guard let plan = work.withLockedValue(\.plan), let machine = loaded(member.name) else { return }
        let repository = try configuration.openRepository()
        let count = try await BlockingWork.run { () throws -> UInt64 in
            var count: UInt64 = 0
            let logs = try ChannelLogs(plan: plan, repository: repository)
            for nic in machine.nics {
                guard let tap = nic.tap else { continue }
                let frames = logs.frames(for: member.name, mac: nic.mac)
                try self.gate.replay(frames: frames, into: tap)
                count += UInt64(frames.count)
            }
            return count
        }
        feed(.memberReplayed(member.name, segments: count))
    }

    private func open() async throws {
        try await BlockingWork.run { [gate = gate] in try gate.liftFence() }
        for machine in work.withLockedValue({ Array($0.loaded.values) }) {
            try await hypervisor.announce(machine.uuid)
        }
        feed(.opened)
    }

    // MARK: The end

    private func discard(_ name: MemberName) {
        let (plan, under) = work.withLockedValue { ($0.plan, $0.pieces[name]) }
        Task {
            under?.cancel()
            await under?.value
            if let plan, let member = plan.members.first(where: { $0.name == name }) {
                await destroy(member, folder: "\(folder(of: member))/\(plan.snapshot)-\(id)")
            }
            feed(.memberDiscarded(name))
        }
    }

    /// Also what a load that failed may have left: when the hypervisor's daemon dies in the middle, nobody can tell.
    private func destroy(_ member: RestoredMember, folder: String) async {
        let end = ContinuousClock.now + Self.discardPatience
        while true {
            do throws(HypervisorError) {
                if let machine = try await present(member), loaded(member.name) != nil || machine.uses(folder) {
                    try await hypervisor.destroy(member.machine)
                }
                try? FileManager.default.removeItem(atPath: folder)
                return
            } catch {
                guard ContinuousClock.now < end else {
                    logger.critical(
                        "VM of a restore that was given up still there",
                        metadata: ["vm": "\(member.name)", "error": "\(error)"])
                    work.withLockedValue { _ = $0.remaining.insert(member.name) }
                    return
                }
            }
            try? await Task.sleep(for: Self.discardPause)
        }
    }

    private func present(_ member: RestoredMember) async throws(HypervisorError) -> VirtualMachine? {
        do throws(HypervisorError) {
            return try await hypervisor.machine(member.machine)
        } catch {
            guard case .unknownMachine = error else { throw error }
            return nil
        }
    }

    /// The members stay: libvirt keeps them, and the disks of earlier restores, whose timeline is given up, go.
    private func commit() async {
        guard let plan = work.withLockedValue(\.plan) else { return }
        var journal = journal(of: plan)
        journal.committed = true
        do {
            if !journal.members.isEmpty { try journal.write(in: configuration.state) }
        } catch {
            logger.warning("the end of a restore was not noted", metadata: ["error": "\(error)"])
        }
        for (name, machine) in work.withLockedValue(\.loaded) {
            do {
                try await hypervisor.keep(machine.uuid)
                guard let member = plan.members.first(where: { $0.name == name }) else { continue }
                let current = "\(plan.snapshot)-\(id)"
                let folder = folder(of: member)
                for entry in try FileManager.default.contentsOfDirectory(atPath: folder) where entry != current {
                    try FileManager.default.removeItem(atPath: "\(folder)/\(entry)")
                }
            } catch {
                logger.warning("restored VM not kept", metadata: ["vm": "\(name)", "error": "\(error)"])
            }
        }
    }
}
