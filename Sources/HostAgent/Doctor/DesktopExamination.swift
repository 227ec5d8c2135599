import Hypervisor
import Logging
import SnapshotProtocol
import WireProtocol

/// Looks at a desktop for what stands in the way of a snapshot, and says what to do about it.
///
/// Nothing is frozen and nothing is held. What cannot be found out by looking alone is tried out: queues are bound and
/// let go, bridges' switches are set to what they are, and a cut of each VM is prepared and given up, as every epoch
/// begins.
struct DesktopExamination: Sendable {
    /// Whether cuts may be prepared.
    enum Trials: Sendable {
        case room(TrialRoom)
        case none(why: String)
    }

    let configuration: AgentConfiguration
    let hypervisor: any HypervisorDriver
    let gate: any GateExaminer
    let trials: Trials
    let logger: Logger

    /// How long a hypervisor may take to say what it has.
    static let patience = Duration.seconds(15)

    var desktop: FindingSubject { .desktop(configuration.host) }

    /// - Parameter names: of the VMs to look at; all that the owner allows when there is none.
    func findings(about names: [String]) async -> [Finding] {
        let (reached, known) = await hypervisors()
        let wanted = names.isEmpty ? known : known.filter { names.contains($0.name) }
        let machines = wanted.filter { configuration.allows($0.name) }
        let running = machines.filter { $0.state == .running }

        var findings = await packetFindings(of: running)
        findings.append(await toolFinding())
        findings += reached
        findings += allowList(known: known, wanted: names.isEmpty ? [] : wanted)
        let room = await spaceFindings(for: running)
        findings += room
        for machine in machines { findings += await self.findings(of: machine) }
        return findings
    }

    // MARK: What may be seen

    private func hypervisors() async -> (findings: [Finding], machines: [VirtualMachine]) {
        var findings: [Finding] = []
        var machines: [VirtualMachine] = []
        for driver in hypervisor.parts {
            let result = await answer(within: Self.patience) { () -> Result<[VirtualMachine], HypervisorError> in
                do throws(HypervisorError) {
                    return .success(try await driver.machines())
                } catch {
                    return .failure(error)
                }
            }
            switch result {
            case .success(let found):
                machines += found
                findings.append(Finding(.hypervisor, desktop, ok: Self.description(of: driver.name, found)))
            case .failure(let error):
                findings.append(Finding(.hypervisor, desktop, blocker: error.failure(of: nil)))
            case nil:
                findings.append(
                    Finding(
                        .hypervisor, desktop, .blocker, "\(driver.name) does not answer.",
                        remedy: "See whether its daemon hangs, and restart it."))
            }
        }
        return (findings, machines.sorted { $0.name < $1.name })
    }

    private static func description(of driver: String, _ machines: [VirtualMachine]) -> String {
        let version = machines.lazy.compactMap { machine in
            machine.requirements["version"].map { "\(machine.requirements["hypervisor"] ?? "hypervisor") \($0)" }
        }.first
        let running = machines.count { $0.state == .running }
        return "\(driver) can be reached\(version.map { " (\($0))" } ?? ""): \(machines.count) VMs, \(running) running."
    }

    private func allowList(known: [VirtualMachine], wanted: [VirtualMachine]) -> [Finding] {
        let refused = wanted.compactMap { machine in
            configuration.refusal(of: machine).map {
                Finding(.allowList, .machine(machine.name, on: configuration.host), blocker: $0)
            }
        }
        guard refused.isEmpty else { return refused }
        if configuration.allow.isEmpty {
            return [
                Finding(
                    .allowList, desktop, .warning, "No VM of this desktop may be snapshotted.",
                    remedy: "Name some under `allow` in the agent's configuration, or \"*\" for all.")
            ]
        }
        let allowed = known.count { configuration.allows($0.name) }
        return [Finding(.allowList, desktop, ok: "\(allowed) of \(known.count) VMs may be snapshotted.")]
    }
}
