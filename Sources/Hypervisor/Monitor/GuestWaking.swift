import Glibc
package import Logging

/// Lets a guest run that a cut, or an agent that died in one, has left stopped.
package struct GuestWaking: Sendable {
    package enum Step: Sendable {
        /// There is no process any more.
        case gone
        case standsStill
        case runs(imageIsSettled: Bool)
    }

    /// How long a QEMU that does not answer is asked again and again.
    private static let patience: UInt64 = 30_000_000_000
    /// How long the image of a guest that runs again may take to end.
    private static let settling: UInt64 = 60_000_000_000

    private let vm: String
    private let logger: Logger

    package init(_ vm: String, logger: Logger) {
        self.vm = vm
        self.logger = logger
    }

    /// Sees to it that the guest runs, unless it cannot write, and that no image of it is being written. Blocks until then
    /// or until its process is gone; a hypervisor that stays away ends the wait, and then the journal's recovery comes
    /// back to it.
    ///
    /// - Parameters:
    ///   - cancels: whether an image that is being written is cancelled. Never for a background image, whose cancellation
    ///     can hang QEMU (see `ImageStream`): its reader throws the rest away instead.
    ///   - step: `Monitor.wake`, on a monitor that may have to be opened anew.
    /// - Returns: whether QEMU writes no image any more.
    @discardableResult
    package func letRun(cancels: Bool, _ step: (_ cancels: inout Bool) throws(HypervisorError) -> Step) -> Bool {
        let start = WallClock.monotonic()
        var cancels = cancels
        var runs = false
        while WallClock.monotonic() - start < (runs ? Self.settling : Self.patience) {
            do throws(HypervisorError) {
                switch try step(&cancels) {
                case .gone: return true
                case .standsStill: runs = false
                case .runs(let imageIsSettled):
                    if imageIsSettled { return true }
                    runs = true
                }
            } catch {
                logger.debug("VM not yet resumed", metadata: ["vm": "\(vm)", "error": "\(error)"])
            }
            usleep(10_000)
        }
        if !runs { logger.critical("VM could not be resumed", metadata: ["vm": "\(vm)"]) }
        return false
    }
}

extension Monitor where Self: ~Copyable {
    /// Cancels an image once if it is told to, and lets a guest go on that stands still.
    package func wake(_ cancels: inout Bool) throws(HypervisorError) -> GuestWaking.Step {
        if cancels {
            try execute(#"{"execute":"migrate_cancel"}"#)
            cancels = false
        }
        let state = try runState()
        // One that cannot write would only stop again: it waits until it has its own disks back.
        guard state == "running" || state == "io-error" else {
            try execute(#"{"execute":"cont"}"#)
            return .standsStill
        }
        return .runs(imageIsSettled: try imageIsSettled())
    }

    /// Whether QEMU stopped the guest because it could not write, as when an overlay's file system is full.
    package func hasIOError() throws(HypervisorError) -> Bool { try runState() == "io-error" }

    /// Lets a guest run that QEMU stopped because it could not write into its overlay. Of use only once the guest writes
    /// into its own files again: QEMU then repeats what it could not write.
    ///
    /// - Returns: whether it had to be told.
    @discardableResult
    package func endIOError(_ logger: Logger) throws(HypervisorError) -> Bool {
        guard try hasIOError() else { return false }
        logger.notice("resuming a VM that could not write", metadata: ["vm": "\(machineName)"])
        try execute(#"{"execute":"cont"}"#)
        return true
    }
}
