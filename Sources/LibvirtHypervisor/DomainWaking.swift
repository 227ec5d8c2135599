import CLibvirt
import Glibc
import Hypervisor
import Logging

/// `GuestWaking` for a domain that may come and go with the daemon.
struct DomainWaking {
    let uuid: String
    let connection: LibvirtConnection
    let logger: Logger

    /// See `GuestWaking.letRun`.
    @discardableResult
    func letRun(cancels: Bool) -> Bool {
        GuestWaking(uuid, logger: logger).letRun(cancels: cancels) { (cancels) throws(HypervisorError) in
            guard let domain = try domain(on: connection.open()) else { return .gone }
            let step = try domain.wake(&cancels)
            if case .runs(imageIsSettled: true) = step { try Self.awaitAgreement(on: domain) }
            return step
        }
    }

    /// See `Monitor.endIOError`.
    func endIOError(on handle: LibvirtConnection.Handle) throws(HypervisorError) {
        guard let domain = try domain(on: handle), try domain.endIOError(logger) else { return }
        try Self.awaitAgreement(on: domain)
    }

    /// Nil when there is none that is active.
    private func domain(on handle: LibvirtConnection.Handle) throws(HypervisorError) -> LibvirtDomain? {
        do throws(HypervisorError) {
            let domain = try LibvirtDomain(uuid: uuid, on: handle)
            guard try domain.isActive() else { return nil }
            return domain
        } catch {
            if case .unknownMachine = error { return nil }
            throw error
        }
    }

    /// libvirt hears that a guest runs a moment after QEMU says so, and until then would call it paused to whoever asks.
    private static func awaitAgreement(on domain: borrowing LibvirtDomain) throws(HypervisorError) {
        for _ in 0..<200 {
            let state = try domain.runState()
            let agrees = try domain.state() == .running
            if state != "running" || agrees { return }
            usleep(5_000)
        }
    }
}
