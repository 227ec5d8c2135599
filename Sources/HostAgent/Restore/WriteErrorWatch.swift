import Hypervisor
import Logging

/// Lets a restored VM run on that found the file system of its new disk full, as soon as there is room.
///
/// For a while only: a disk that fills up later is between the VM's owner and its hypervisor.
struct WriteErrorWatch: Sendable {
    let hypervisor: any HypervisorDriver
    let logger: Logger
    var period = Duration.milliseconds(500)
    var span = Duration.seconds(60)

    /// Watches on its own; to wait for the task is for tests.
    @discardableResult
    func begin(_ uuid: String) -> Task<Void, Never> {
        Task {
            let end = ContinuousClock.now + span
            while ContinuousClock.now < end {
                do {
                    try await hypervisor.endWriteError(uuid)
                } catch {
                    logger.debug("restored VM not looked at", metadata: ["vm": "\(uuid)", "error": "\(error)"])
                }
                try? await Task.sleep(for: period)
            }
        }
    }
}
