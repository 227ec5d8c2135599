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
    /// How long a running guest's cancelled image may take to end before the guest is believed to go on running.
    private static let settling: UInt64 = 3_000_000_000

    /// Gives a pending image up and sees to it that the guest runs. Blocks until it does or its process is gone; a
    /// daemon that stays away ends the wait, and then the journal's recovery comes back to it.
    func letRun() {
        let start = WallClock.monotonic()
        var cancelled = false
        while WallClock.monotonic() - start < Self.patience {
            do throws(HypervisorError) {
                let domain = try LibvirtDomain(uuid: uuid, on: try connection.open())
                guard try domain.isActive() else { return }
                if !cancelled {
                    try domain.monitor(#"{"execute":"migrate_cancel"}"#)
                    cancelled = true
                }
                let answer = try domain.monitor(#"{"execute":"query-status"}"#)
                if MonitorAnswer.runState(in: answer) != "running" {
                    try domain.monitor(#"{"execute":"cont"}"#)
                } else if try Self.isSettled(domain) || WallClock.monotonic() - start > Self.settling {
                    return
                }
            } catch {
                if case .unknownMachine = error { return }
                logger.debug("VM not yet resumed", metadata: ["vm": "\(uuid)", "error": "\(error)"])
            }
            usleep(10_000)
        }
        logger.critical("VM could not be resumed", metadata: ["vm": "\(uuid)"])
    }

    /// Whether no image is about to stop the guest once more: QEMU stops it by itself when it begins to capture.
    private static func isSettled(_ domain: borrowing LibvirtDomain) throws(HypervisorError) -> Bool {
        let status = MonitorAnswer.migration(in: try domain.monitor(#"{"execute":"query-migrate"}"#)).status
        return status != "setup" && status != "cancelling"
    }
}
