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

        /// Whether no job was under way on the desktop from now to whenever it is called.
        fileprivate var quiet: @Sendable () -> Bool {
            switch self {
            case .none: return { true }
            case .room(let room):
                let mark = room.mark
                return { room.isUndisturbed(since: mark) }
            }
        }
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
        let isQuiet = trials.quiet
        let sight = await DesktopSight.of(hypervisor, within: Self.patience)
        let known = sight.machines
        let wanted = names.isEmpty ? known : known.filter { names.contains($0.name) }
        let machines = wanted.filter { configuration.allows($0.name) }
        let running = machines.filter { $0.state == .running }

        var findings = await packetFindings(of: running)
        findings.append(await toolFinding())
        let isEnough = !names.isEmpty && names.allSatisfy { name in known.contains { $0.name == name } }
        findings += sight.parts.flatMap {
            [finding(about: $0, isNeeded: !isEnough), emulators(of: $0)].compactMap(\.self)
        }
        findings += allowList(known: known, wanted: names.isEmpty ? [] : wanted)
        let room = await spaceFindings(for: running)
        findings += room
        for machine in machines { findings += await self.findings(of: machine, isQuiet: isQuiet) }
        return findings
    }

    // MARK: What may be seen

    /// - Parameter isNeeded: whether VMs that were asked for may be its own.
    private func finding(about part: DesktopSight.Part, isNeeded: Bool) -> Finding {
        let level: FindingLevel = isNeeded ? .blocker : .warning
        return switch part.fault {
        case nil: Finding(.hypervisor, desktop, ok: Self.description(of: part))
        case .error(let error): Finding(.hypervisor, desktop, level, error.text, remedy: "")
        case .silence:
            Finding(
                .hypervisor, desktop, level, "\(part.driver.name) does not answer.",
                remedy: HypervisorAdvice.ofSilence(part.driver.name))
        }
    }

    private static func description(of part: DesktopSight.Part) -> String {
        let seen = part.machines.lazy.compactMap { $0.requirements["version"] }.first
        let version = part.offer["version"] ?? seen
        let product = part.offer["hypervisor"].map { "\($0) " } ?? ""
        let running = part.machines.count { $0.state == .running }
        let count = part.machines.count == 1 ? "1 VM" : "\(part.machines.count) VMs"
        return "\(part.driver.name) can be reached\(version.map { " (\(product)\($0))" } ?? ""): \(count), "
            + "\(running) running."
    }

    /// A desktop on which no VM of QEMU can be started may still have one that is snapshotted.
    private func emulators(of part: DesktopSight.Part) -> Finding? {
        guard part.driver.name == "qemu", part.fault == nil, part.offer["machine"] == "" else { return nil }
        return Finding(
            .hypervisor, desktop, .warning, "No QEMU is installed here, so that no VM of it can be restored here.",
            remedy: "Install qemu-system-x86, or the package of the VMs' architecture.")
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
