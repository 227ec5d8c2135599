import Glibc
import Hypervisor
import SnapshotProtocol
import WireProtocol

/// The VMs, one at a time.
extension DesktopExamination {
    /// - Parameter isQuiet: whether no epoch or restore, which pause VMs, was under way since they were looked at.
    func findings(of machine: VirtualMachine, isQuiet: () -> Bool) async -> [Finding] {
        let subject = FindingSubject.machine(machine.name, on: configuration.host)
        switch machine.state {
        case .running: break
        case .off: return [Finding(.state, subject, ok: "The VM is off; while it is, no snapshot has it.")]
        case .paused where !isQuiet():
            return [
                Finding(
                    .state, subject, .warning, "The VM is paused, and a snapshot or a restore is under way here.",
                    remedy: "Ask again when that is over.")
            ]
        case .paused, .other:
            if let obstacle = machine.obstacle { return [Finding(.state, subject, .blocker, obstacle, remedy: "")] }
            let text = "The VM is \(machine.state.rawValue), and only a running one can be snapshotted."
            return [Finding(.state, subject, .blocker, text, remedy: "Resume or start it.")]
        }
        var findings = [Finding(.state, subject, ok: "The VM runs.")]
        findings += machine.nics.map { nic in
            let subject = FindingSubject.nic(nic.mac, of: machine.name, on: configuration.host)
            if let blocker = Machines.blocker(of: nic, member: MemberName(machine.name)) {
                return Finding(.nic, subject, blocker: blocker)
            }
            return Finding(.nic, subject, ok: "It is on the tap \(nic.tap ?? "") of the bridge \(nic.bridge ?? "").")
        }
        if machine.nics.isEmpty {
            findings.append(
                Finding(
                    .nic, subject, .blocker, "The VM has no NIC, so that there is nothing to gate.",
                    remedy: "Give it one on a Linux bridge, or leave it out of the cluster."))
        }
        findings += await diskFindings(of: machine)
        // What has no place for its overlay, or no file under it, cannot be cut: that is said already.
        if findings.allSatisfy({ $0.level == .ok }) { findings.append(await cutFinding(of: machine)) }
        return findings
    }

    /// A snapshot, or the merge that follows it, may have changed the files since the VM was looked at: what stands in the
    /// way must do so in files that it still has.
    private func diskFindings(of former: VirtualMachine) async -> [Finding] {
        var machine = former
        while true {
            let looked = machine
            let findings = (try? await BlockingWork.run { looked.disks.map { disk($0, of: looked) } }) ?? []
            guard findings.contains(where: { $0.level != .ok }) else { return findings }
            let now = await answer(within: Self.patience) { try? await hypervisor.machine(looked.uuid) }
            guard let now, let now, now.disks != looked.disks else { return findings }
            machine = now
        }
    }

    private func disk(_ disk: VirtualMachine.Disk, of machine: VirtualMachine) -> Finding {
        let subject = FindingSubject.disk(disk.target, of: machine.name, on: configuration.host)
        if let blocker = Machines.blocker(of: disk, member: MemberName(machine.name)) {
            return Finding(.disk, subject, blocker: blocker)
        }
        let path = disk.path ?? ""
        var status = stat()
        guard stat(path, &status) == 0 else {
            return Finding(
                .disk, subject, .blocker, "Its file \(path) cannot be found: \(String(cString: strerror(errno))).",
                remedy: "Put the file back or mount its file system.")
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            return Finding(
                .disk, subject, .blocker, "\(path) is not a plain file, and only file-backed disks can be cut.",
                remedy: "Copy the disk into a file with qemu-img convert.")
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            return Finding(
                .disk, subject, .blocker, "Its file \(path) cannot be read: \(String(cString: strerror(errno))).",
                remedy: "Run the agent as root, or give it rights to the file.")
        }
        close(descriptor)
        return Finding(.disk, subject, ok: "It is the \(disk.format) file \(path).")
    }

    // MARK: The cut

    /// Prepares a cut as an epoch does, and gives it up.
    private func cutFinding(of machine: VirtualMachine) async -> Finding {
        let subject = FindingSubject.machine(machine.name, on: configuration.host)
        let room: TrialRoom
        switch trials {
        case .room(let found): room = found
        case .none(let why): return notTried(subject, why)
        }
        let outcome = await answer(within: Self.patience) {
            await room.trial { await tryCut(of: machine) }
        }
        switch outcome {
        case .some(.some(.success(.background))):
            return Finding(.cut, subject, ok: "It can be cut, and runs on while its image is saved.")
        case .some(.some(.success(.paused(let reason)))):
            return Finding(
                .cut, subject, .warning, "It stays paused until its image is saved, because \(reason).",
                remedy: pauseRemedy(for: machine))
        case .some(.some(.failure(let error))):
            return Finding(.cut, subject, blocker: error.failure(of: MemberName(machine.name)))
        case .some(.none): return notTried(subject, "a snapshot, a restore or another test is under way")
        case .none:
            return Finding(
                .cut, subject, .blocker, "Its hypervisor does not answer when a cut is prepared.",
                remedy: HypervisorAdvice.ofSilentCut(machine.driver))
        }
    }

    private func pauseRemedy(for machine: VirtualMachine) -> String {
        let driver = hypervisor.parts.first { $0.name == machine.driver }
        let always = driver?.capabilities.lacks[.backgroundImages] != nil
        return (always ? "That cannot be changed: take" : "Change that, or take")
            + " snapshots with --mode colour, in which the other members do not wait for it."
    }

    private func notTried(_ subject: FindingSubject, _ why: String) -> Finding {
        Finding(
            .cut, subject, .warning, "Whether it can be cut was not tried out, because \(why).",
            remedy: "Ask again when that is over.")
    }

    private func tryCut(of machine: VirtualMachine) async -> Result<CutMethod, HypervisorError> {
        do throws(HypervisorError) {
            let cut = try await hypervisor.prepareCut(
                of: machine.uuid, workspace: configuration.workspace, sink: Nowhere())
            await cut.abandon()
            await cut.settled()
            return .success(cut.method)
        } catch {
            return .failure(error)
        }
    }

    /// Of a cut that is given up nothing is kept.
    private final class Nowhere: ByteSink {
        func write(_ bytes: UnsafeRawBufferPointer) {}
    }
}
