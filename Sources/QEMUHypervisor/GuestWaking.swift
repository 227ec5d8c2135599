import Glibc
import Hypervisor
import Logging

/// Lets a guest run that a cut, or an agent that died in one, has left stopped.
struct GuestWaking: Sendable {
    let logger: Logger

    /// How long a QEMU that does not answer is asked again and again.
    private static let patience: UInt64 = 30_000_000_000
    /// How long the image of a guest that runs again may take to end.
    private static let settling: UInt64 = 60_000_000_000

    /// Sees to it that the guest runs, and that no image of it is being written. Blocks until then or until its
    /// process is gone; a QEMU that hangs ends the wait, and then the journal's recovery comes back to it.
    ///
    /// - Parameter cancels: whether an image that is being written is cancelled. Never for a background image, whose
    ///   cancellation can hang QEMU (see `ImageStream`): its reader throws the rest away instead.
    /// - Returns: whether QEMU writes no image any more.
    @discardableResult
    func letRun(cancels: Bool, _ monitor: () throws(HypervisorError) -> MonitorSocket?) -> Bool {
        let start = WallClock.monotonic()
        var cancelled = !cancels
        var runs = false
        while WallClock.monotonic() - start < (runs ? Self.settling : Self.patience) {
            do throws(HypervisorError) {
                guard let monitor = try monitor() else { return true }
                if !cancelled {
                    try monitor.execute(#"{"execute":"migrate_cancel"}"#)
                    cancelled = true
                }
                runs = try monitor.runState() == "running"
                if !runs {
                    try monitor.execute(#"{"execute":"cont"}"#)
                } else if try monitor.imageIsSettled() {
                    return true
                }
            } catch {
                logger.debug("VM not yet resumed", metadata: ["error": "\(error)"])
            }
            usleep(10_000)
        }
        if !runs { logger.critical("VM could not be resumed") }
        return false
    }

    /// Lets a guest run that QEMU stopped because it could not write into its overlay. Of use only once the guest writes
    /// into its own files again: QEMU then repeats what it could not write.
    func endIOError(_ monitor: MonitorSocket) throws(HypervisorError) {
        guard try monitor.runState() == "io-error" else { return }
        logger.notice("resuming a VM that could not write", metadata: ["vm": "\(monitor.machineName)"])
        try monitor.execute(#"{"execute":"cont"}"#)
    }
}
