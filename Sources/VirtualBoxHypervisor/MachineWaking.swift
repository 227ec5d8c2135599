import Hypervisor
import Logging

/// Lets a guest run that a cut, or an agent that died in one, has left paused.
struct MachineWaking: Sendable {
    enum Outcome: Sendable, Hashable {
        case runs
        /// Its process is gone, or nobody knows it.
        case gone
        /// Paused by the desktop's power management, which alone resumes it.
        case sleeps
        /// Everything was tried for as long as patience lasts.
        case failed(String)
    }

    let uuid: String
    let machines: VirtualBoxMachines

    /// How long a VirtualBox that does not answer, lies or holds a lock is asked again and again.
    private static let patience = Duration.seconds(90)

    /// Sees to it that the guest runs. Trusts no answer: only what the VM's state says afterwards counts.
    func letRun() async -> Outcome {
        let start = ContinuousClock.now
        var last = "it stayed paused"
        while ContinuousClock.now - start < Self.patience {
            do throws(ManageFailure) {
                guard let info = try await machines.look(uuid) else { return .gone }
                switch info.state {
                case .running: return .runs
                case .off: return .gone
                case .paused where !info.isBusy:
                    if machines.cause(ofPause: info) == .hostPower { return .sleeps }
                    try await machines.control(uuid, "resume", within: machines.patience.resume)
                    // Looked at again without a rest.
                    if try await machines.look(uuid)?.state == .running { return .runs }
                    last = "VirtualBox said that it resumed it, and it stayed paused"
                case .paused, .other: last = "it is \(info.stateName)"
                }
            } catch {
                if error.kind == .unknownMachine { return .gone }
                if error.kind == .hostPower { return .sleeps }
                last = error.text
                machines.logger.debug("VM not yet resumed", metadata: ["vm": "\(uuid)", "error": "\(error)"])
            }
            await HostCommand.rest(.milliseconds(150))
        }
        machines.logger.critical("VM could not be resumed", metadata: ["vm": "\(uuid)", "last": "\(last)"])
        return .failed(last)
    }
}
