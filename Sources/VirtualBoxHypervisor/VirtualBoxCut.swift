import Foundation
import Hypervisor
import Logging
import NIOConcurrencyHelpers

/// One cut of one VM: pause, snapshot, resume. The resume comes on every path.
final class VirtualBoxCut: PreparedCut {
    private struct State: Sendable {
        enum Phase: Sendable {
            case prepared
            case performing
            case performed(savedState: String)
            case failed
        }

        var phase = Phase.prepared
        var journal: VirtualBoxJournal
        var frozenDisks: [FrozenDisk] = []
        /// What ends the cut; both ends share it, and whoever comes second waits for the first.
        var ending: Task<Void, Never>?
        /// What gives the disks back after that.
        var settling: Task<Void, Never>?
        var storing: Task<Result<Void, HypervisorError>, Never>?
        var waiter: CheckedContinuation<Void, Never>?
    }

    /// A disk that the guest writes.
    struct Disk: Sendable {
        var frozen: FrozenDisk
        /// UUID of the medium, if only VirtualBox can read it, being based on others.
        var layered: String?
    }

    let method = CutMethod.paused(reason: "VirtualBox saves a VM's memory only while it stands still")
    private let name: String
    private let uuid: String
    private let workspace: String
    private let machines: VirtualBoxMachines
    private let disks: [Disk]
    private let sink: any ByteSink
    private let state: NIOLockedValueBox<State>

    init(
        name: String, journal: VirtualBoxJournal, workspace: String, machines: VirtualBoxMachines, disks: [Disk],
        sink: any ByteSink
    ) {
        self.name = name
        uuid = journal.uuid
        self.workspace = workspace
        self.machines = machines
        self.disks = disks
        self.sink = sink
        state = NIOLockedValueBox(State(journal: journal))
    }

    var frozenDisks: [FrozenDisk] { state.withLockedValue(\.frozenDisks) }

    private var waking: MachineWaking { MachineWaking(uuid: uuid, machines: machines) }

    // MARK: The cut

    func perform(whileFrozen: @escaping @Sendable () throws -> Void) async throws(HypervisorError) -> CutTimes {
        let begins = state.withLockedValue { state in
            guard case .prepared = state.phase, state.ending == nil else { return false }
            state.phase = .performing
            return true
        }
        guard begins else { throw .failed("The cut of \(name) was made or given up before.") }
        // A task of its own: a caller that is cancelled must not leave the guest paused.
        let result = await Task { await self.cut(whileFrozen: whileFrozen) }.value
        let waiter = state.withLockedValue { state in
            switch result {
            case .success(let made):
                state.phase = .performed(savedState: made.savedState)
                state.frozenDisks = disks.map(\.frozen)
            case .failure: state.phase = .failed
            }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
        return try result.get().times
    }

    private struct Made: Sendable {
        var times: CutTimes
        var savedState: String
    }

    private func cut(whileFrozen: @escaping @Sendable () throws -> Void) async -> Result<Made, HypervisorError> {
        do throws(HypervisorError) {
            let info = try await machines.info(uuid)
            guard info.state == .running else { throw VirtualBoxDriver.notRunning(info, machines) }
            try note { $0.isCutting = true }
        } catch {
            // Not paused by us, so not to be resumed by us.
            return .failure(error)
        }
        let startedAt = WallClock.now()
        let start = WallClock.monotonic()
        let result: Result<String, HypervisorError>
        do throws(HypervisorError) {
            try await pause()
            try await frozen(whileFrozen)
            result = .success(try await snapshot())
        } catch {
            result = .failure(error)
        }
        let outcome = await waking.letRun()
        let pause = WallClock.monotonic() - start
        let endedAt = max(WallClock.now(), startedAt + pause)
        return result.flatMap { savedState in
            switch outcome {
            case .runs:
                let times = CutTimes(startedAt: startedAt, endedAt: endedAt, pause: pause)
                return .success(Made(times: times, savedState: savedState))
            case .gone: return .failure(.failed("The process of \(name) has ended during its cut."))
            case .sleeps:
                return .failure(
                    .notRunning(
                        "\(name) was paused by the desktop's power management during its cut; it runs again when the "
                            + "desktop is awake.", state: "paused"))
            case .failed(let why): return .failure(.failed("\(name) could not be resumed after its cut: \(why)."))
            }
        }
    }

    private func pause() async throws(HypervisorError) {
        do throws(ManageFailure) {
            try await machines.control(uuid, "pause")
        } catch {
            throw error.error(doing: "pause \(name)")
        }
        let info = try await machines.info(uuid)
        guard info.state == .paused else {
            throw .failed("VirtualBox said that it paused \(name), and it is \(info.stateName).")
        }
        // Between the look before the pause and the pause the desktop may have gone to sleep.
        if machines.cause(ofPause: info) == .hostPower { throw VirtualBoxDriver.notRunning(info, machines) }
        try throwIfGivenUp()
    }

    private func frozen(_ whileFrozen: @escaping @Sendable () throws -> Void) async throws(HypervisorError) {
        let failure = await BlockingThread.run { () -> String? in
            do {
                try whileFrozen()
                return nil
            } catch {
                return "\(error)"
            }
        }
        if let failure { throw .failed("The cut of \(name) was given up while it was frozen: \(failure)") }
        try throwIfGivenUp()
    }

    /// Takes the snapshot and believes only what is there afterwards.
    ///
    /// - Returns: the file with the saved state.
    private func snapshot() async throws(HypervisorError) -> String {
        let wanted = state.withLockedValue(\.journal.snapshot)
        do throws(ManageFailure) {
            try await machines.takeSnapshot(wanted, of: uuid)
            guard let taken = try await machines.snapshot(named: wanted, of: uuid) else {
                throw ManageFailure(kind: .other, text: "it said that it had, and there is none")
            }
            let info = try await machines.look(uuid)
            guard let info else { throw ManageFailure(kind: .other, text: "its settings cannot be read any more") }
            let file: String?
            do throws(HypervisorError) {
                file = try machines.settings(info).stateFile(ofSnapshot: taken)
            } catch {
                throw ManageFailure(kind: .other, text: "\(error)")
            }
            guard let file else { throw ManageFailure(kind: .other, text: "the snapshot \(taken) has no saved state") }
            let folder = info.settingsFile.split(separator: "/").dropLast().joined(separator: "/")
            let path = file.hasPrefix("/") ? file : "/\(folder)/\(file)"
            let size = (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? NSNumber)?.uint64Value ?? 0
            guard size > 0 else {
                throw ManageFailure(kind: .other, text: "the saved state \(path) is empty or absent")
            }
            return path
        } catch {
            throw error.error(doing: "take a snapshot of \(name)")
        }
    }

    private func throwIfGivenUp() throws(HypervisorError) {
        if isGivenUp { throw .failed("The cut of \(name) was given up.") }
    }

    private var isGivenUp: Bool { state.withLockedValue { $0.ending != nil } }

    private func note(_ change: (inout VirtualBoxJournal) -> Void) throws(HypervisorError) {
        let journal = state.withLockedValue { state in
            change(&state.journal)
            return state.journal
        }
        try journal.write(to: workspace)
    }

    // MARK: The image

    func imageComplete() async throws(HypervisorError) {
        let task = state.withLockedValue { state -> Task<Result<Void, HypervisorError>, Never>? in
            guard case .performed(let savedState) = state.phase, state.ending == nil else { return nil }
            let storing = state.storing ?? Task { await self.store(savedState) }
            state.storing = storing
            return storing
        }
        guard let task else { throw .failed("There is no image of \(name): the cut was not made, or was given up.") }
        try await task.value.get()
    }

    private func store(_ savedState: String) async -> Result<Void, HypervisorError> {
        let failure = await BlockingThread.run { self.stream(savedState) }
        if let failure { return .failure(failure) }
        do throws(HypervisorError) {
            for disk in disks {
                if let medium = disk.layered { try await copy(medium, to: disk.frozen.path) }
                try throwIfGivenUp()
            }
            return .success(())
        } catch {
            return .failure(error)
        }
    }

    private func stream(_ path: String) -> HypervisorError? {
        guard let file = FileHandle(forReadingAtPath: path) else { return .failed("\(path) cannot be read.") }
        defer { try? file.close() }
        do {
            while let data = try file.read(upToCount: 1 << 20), !data.isEmpty {
                if isGivenUp { return .failed("The cut of \(name) was given up.") }
                try data.withUnsafeBytes { try sink.write($0) }
            }
            return nil
        } catch {
            let text = "Storing the image of \(name) failed: \(error)"
            return text.contains("No space") ? .noSpace(text) : .failed(text)
        }
    }

    /// A disk of which the owner has snapshots is a chain that nobody but VirtualBox can read.
    private func copy(_ medium: String, to path: String) async throws(HypervisorError) {
        try note { $0.copies.append(path) }
        do throws(ManageFailure) {
            try await machines.manage.run(
                ["clonemedium", "disk", medium, path, "--format", "VDI"], machine: uuid,
                within: machines.patience.merge)
        } catch {
            throw error.error(doing: "copy a frozen disk of \(name)")
        }
    }

    // MARK: The end

    func finish() async { await end() }

    func abandon() async { await end() }

    func settled() async {
        await end()
        await state.withLockedValue(\.settling)?.value
    }

    private func end() async {
        let ending = state.withLockedValue { state in
            // A task of its own: a caller that is cancelled must not leave the guest paused.
            let ending = state.ending ?? Task { await self.putRight() }
            state.ending = ending
            return ending
        }
        await ending.value
    }

    private func putRight() async {
        await cutMadeOrFailed()
        _ = await waking.letRun()
        _ = await state.withLockedValue(\.storing)?.value
        let journal = state.withLockedValue(\.journal)
        let removal = SnapshotRemoval(machines: machines, workspace: workspace)
        // The merge goes on behind the guest, which runs.
        let settling = Task { [machines, uuid] in
            do throws(HypervisorError) {
                try await removal.remove(journal)
            } catch {
                // The journal stays: recovery tries again when the agent starts and before the next cut.
                machines.logger.error(
                    "snapshot of a cut still there", metadata: ["vm": "\(uuid)", "error": "\(error)"])
            }
        }
        state.withLockedValue { $0.settling = settling }
    }

    /// Waits while the cut is being made, which ends soon: its own steps see that it was given up.
    private func cutMadeOrFailed() async {
        await withCheckedContinuation { continuation in
            let waits = state.withLockedValue { state in
                guard case .performing = state.phase else { return false }
                state.waiter = continuation
                return true
            }
            if !waits { continuation.resume() }
        }
    }
}
