import CLibvirt
import Glibc
import Hypervisor
import Logging

/// Lets a guest run that a cut, or an agent that died in one, has left stopped.
struct GuestWaking {
    let uuid: String
    let connection: LibvirtConnection
    let logger: Logger

    /// How long a daemon that does not answer, as while it is restarted, is asked again and again.
    private static let patience: UInt64 = 30_000_000_000
    /// How long the image of a guest that runs again may take to end.
    private static let settling: UInt64 = 60_000_000_000

    /// Sees to it that the guest runs, unless it cannot write, and that no image of it is being written. Blocks until then
    /// or until its process is gone; a daemon that stays away ends the wait, and then the journal's recovery comes back
    /// to it.
    ///
    /// - Parameter cancels: whether an image that is being written is cancelled. Never for a background image, whose
    ///   cancellation can hang QEMU (see `ImageStream`): its reader throws the rest away instead.
    /// - Returns: whether QEMU writes no image any more.
    @discardableResult
    func letRun(cancels: Bool) -> Bool {
        let start = WallClock.monotonic()
        var cancelled = !cancels
        var runs = false
        while WallClock.monotonic() - start < (runs ? Self.settling : Self.patience) {
            do throws(HypervisorError) {
                let domain = try LibvirtDomain(uuid: uuid, on: try connection.open())
                guard try domain.isActive() else { return true }
                if !cancelled {
                    try domain.monitor(#"{"execute":"migrate_cancel"}"#)
                    cancelled = true
                }
                let state = MonitorAnswer.runState(in: try domain.monitor(#"{"execute":"query-status"}"#))
                // One that cannot write would only stop again: it waits until it has its own disks back.
                runs = state == "running" || state == "io-error"
                if !runs {
                    try domain.monitor(#"{"execute":"cont"}"#)
                } else if try Self.isSettled(domain) {
                    try Self.awaitAgreement(on: domain)
                    return true
                }
            } catch {
                if case .unknownMachine = error { return true }
                logger.debug("VM not yet resumed", metadata: ["vm": "\(uuid)", "error": "\(error)"])
            }
            usleep(10_000)
        }
        if !runs { logger.critical("VM could not be resumed", metadata: ["vm": "\(uuid)"]) }
        return false
    }

    /// Lets a guest run that QEMU stopped because it could not write into its overlay, as when the overlay's file system is
    /// full. Of use only once the guest writes into its own files again: QEMU then repeats what it could not write.
    func endIOError(on handle: LibvirtConnection.Handle) throws(HypervisorError) {
        let domain: LibvirtDomain
        do throws(HypervisorError) {
            domain = try LibvirtDomain(uuid: uuid, on: handle)
        } catch {
            if case .unknownMachine = error { return }
            throw error
        }
        guard try domain.isActive() else { return }
        guard try Self.hasIOError(domain) else { return }
        logger.notice("resuming a VM that could not write", metadata: ["vm": "\(uuid)"])
        try domain.monitor(#"{"execute":"cont"}"#)
        try Self.awaitAgreement(on: domain)
    }

    /// libvirt hears that a guest runs a moment after QEMU says so, and until then would call it paused to whoever asks.
    private static func awaitAgreement(on domain: borrowing LibvirtDomain) throws(HypervisorError) {
        for _ in 0..<200 {
            let state = MonitorAnswer.runState(in: try domain.monitor(#"{"execute":"query-status"}"#))
            let agrees = try domain.state() == .running
            if state != "running" || agrees { return }
            usleep(5_000)
        }
    }

    static func hasIOError(_ domain: borrowing LibvirtDomain) throws(HypervisorError) -> Bool {
        MonitorAnswer.runState(in: try domain.monitor(#"{"execute":"query-status"}"#)) == "io-error"
    }

    /// Whether no image is about to stop the guest once more: QEMU stops it by itself when it begins to capture.
    private static func isSettled(_ domain: borrowing LibvirtDomain) throws(HypervisorError) -> Bool {
        let status = MonitorAnswer.migration(in: try domain.monitor(#"{"execute":"query-migrate"}"#)).status
        return status != "setup" && status != "active" && status != "cancelling"
    }
}
