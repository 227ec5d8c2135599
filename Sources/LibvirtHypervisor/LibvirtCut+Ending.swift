import CLibvirt
import Hypervisor
import Logging
import NIOConcurrencyHelpers

/// The end of a cut: the guest runs and its image is at rest, and behind that its disks are merged.
extension LibvirtCut {
    func finish() async { await end(givingUp: !stream.isComplete) }

    func abandon() async { await end(givingUp: true) }

    func settled() async {
        guard let ending = state.withLockedValue(\.ending) else { return }
        await ending.value
        await state.withLockedValue(\.merge)?.value
    }

    private func end(givingUp: Bool) async {
        let ending = state.withLockedValue { state in
            // A task of its own: a caller that is cancelled must not end the merge halfway.
            let ending = state.ending ?? Task { await self.putRight(givingUp: givingUp) }
            state.ending = ending
            return ending
        }
        await ending.value
    }

    private func putRight(givingUp: Bool) async {
        if givingUp { stream.cancel() }
        await cutMadeOrFailed()
        let standsStill = await patiently { () throws(HypervisorError) in try await self.endImage(givingUp: givingUp) }
        // Without an answer the journal stays: recovery tries again when the agent starts and before the next cut.
        guard let standsStill else { return }
        let merge = merges.start(of: uuid) { [self] in
            await patiently { () throws(HypervisorError) in
                try await DiskMerge(connection: connection, logger: logger).restore(journal, in: workspace)
                try await connection.run { handle throws(HypervisorError) in try self.waking.endIOError(on: handle) }
            }
        }
        state.withLockedValue { $0.merge = merge }
        // The merge goes on behind, unless the guest waits for it or there is nothing to merge.
        if standsStill || frozenDisks.isEmpty { await merge.value }
    }

    /// Does it until the hypervisor can be reached; nil when it fails otherwise or stays out of reach.
    @discardableResult
    private func patiently<Value>(_ body: () async throws(HypervisorError) -> Value) async -> Value? {
        let start = ContinuousClock.now
        while true {
            do throws(HypervisorError) {
                return try await body()
            } catch {
                // A daemon that is being restarted is back in a moment.
                if error.passes, ContinuousClock.now - start < Self.patience {
                    try? await Task.sleep(for: .milliseconds(200))
                    continue
                }
                logger.error("end of a cut not reached", metadata: ["vm": "\(uuid)", "error": "\(error)"])
                return nil
            }
        }
    }

    /// How long a hypervisor that is out of reach is waited for.
    private static let patience = Duration.seconds(20)

    /// Lets the guest run, and ends its image. Gives back whether the guest still stands still, as it could not write.
    private func endImage(givingUp: Bool) async throws(HypervisorError) -> Bool {
        let (settled, standsStill) = try await connection.run { handle throws(HypervisorError) in
            let settled = givingUp ? self.waking.letRun(cancels: self.method != .background) : true
            guard let domain = try? LibvirtDomain(uuid: self.uuid, on: handle), try domain.isActive() else {
                return (settled, false)
            }
            domain.forgetImage(bandwidth: self.journal.bandwidth)
            return (settled, (try? domain.hasIOError()) ?? false)
        }
        if settled {
            stream.close()
            await stream.idle()
        }
        return standsStill
    }

    /// Waits while the cut is being made, which ends soon: its own steps see that it was given up. Otherwise the
    /// disks could be diverted after they were put right.
    private func cutMadeOrFailed() async {
        await withCheckedContinuation { continuation in
            let waits = state.withLockedValue { state in
                if state.phase == .performing { state.waiter = continuation }
                return state.phase == .performing
            }
            if !waits { continuation.resume() }
        }
    }
}
