import Hypervisor
import PacketGate
import SnapshotProtocol
import Subprocess
import WireProtocol

/// What the gate and the agent's tools need of the system.
extension DesktopExamination {
    func packetFindings(of running: [VirtualMachine]) async -> [Finding] {
        let bridges = Set(running.flatMap { $0.nics.compactMap(\.bridge) }).sorted()
        // Off Swift's threads: tools are run and the kernel is asked.
        let findings = try? await BlockingWork.run {
            let missing = GateInspection.missingRights
            guard missing.isEmpty else {
                // Everything else would fail for want of them, and say something misleading.
                return missing.map {
                    Finding(
                        .rights, desktop, .blocker, "The agent does not have \($0).",
                        remedy: "Run it as root, or give its unit that capability.")
                }
            }
            return [
                Finding(.rights, desktop, ok: "The agent has CAP_NET_ADMIN and CAP_NET_RAW."), kernel(), filter(),
                firewall(),
            ]
                + [queues(members: max(1, running.count))] + bridges.map { bridge($0) }
        }
        return findings ?? []
    }

    private func kernel() -> Finding {
        do throws(GateError) {
            try GateInspection.checkKernel()
            return Finding(.kernel, desktop, ok: "The kernel has netfilter and br_netfilter.")
        } catch {
            return Finding(.kernel, desktop, blocker: error.failure(of: nil))
        }
    }

    private func filter() -> Finding {
        do throws(GateError) {
            let tools = try GateInspection.filterTools()
            let described = tools.joined(separator: ", ")
            guard tools.allSatisfy({ $0.contains("nf_tables") }) else {
                return Finding(
                    .packetFilter, desktop, .warning,
                    "The packet filter's tools are not of the nf_tables variant (\(described)), so that nobody notices "
                        + "when a firewall changes rules while a gate is closed.",
                    remedy: "Install iptables with its nf_tables variant: update-alternatives --set iptables "
                        + "/usr/sbin/iptables-nft, and ip6tables likewise.")
            }
            return Finding(.packetFilter, desktop, ok: "The packet filter takes the gate's rules (\(described)).")
        } catch {
            return Finding(.packetFilter, desktop, blocker: error.failure(of: nil))
        }
    }

    private func firewall() -> Finding {
        let dropping = (try? GateInspection.filtersThatDropForwarded()) ?? []
        guard dropping.isEmpty else {
            return Finding(
                .firewall, desktop, .warning,
                "The policy of FORWARD is DROP (\(dropping.joined(separator: ", "))): while gates are closed it also drops "
                    + "what VMs of this desktop send each other and others.",
                remedy: "Let bridged frames by: -I FORWARD -m physdev --physdev-is-bridged -j ACCEPT, in both families."
            )
        }
        return Finding(.firewall, desktop, ok: "The firewall's policy lets bridged frames by.")
    }

    private func queues(members: Int) -> Finding {
        let looked = gate.inspectQueues(members: members)
        guard !looked.isEmpty else {
            return Finding(.queues, desktop, ok: "The agent runs, and looks after its netfilter queues itself.")
        }
        let failures = looked.compactMap(\.failure)
        if let first = failures.first {
            let more = failures.count > 1 ? " So are \(failures.count - 1) more." : ""
            let failure = first.failure(of: nil)
            return Finding(
                failure.code == .queueTaken ? .queues : .kernel, desktop, .blocker, failure.message + more,
                remedy: failure.code == .queueTaken ? "The queue base is `gate.queueBase` in agent.yaml." : "")
        }
        let numbers = looked.map(\.number)
        return Finding(
            .queues, desktop,
            ok: "The netfilter queues \(numbers.first ?? 0) to \(numbers.last ?? 0) can be bound.")
    }

    private func bridge(_ name: String) -> Finding {
        do throws(GateError) {
            try gate.inspectBridge(name)
            return Finding(.bridge, desktop, ok: "What the bridge \(name) forwards can be filtered.")
        } catch {
            return Finding(.bridge, desktop, blocker: error.failure(of: nil))
        }
    }

    func toolFinding() async -> Finding {
        let result = try? await Subprocess.run(
            .name("qemu-img"), arguments: ["--version"], output: .string(limit: 4096), error: .discarded)
        guard let result, result.terminationStatus.isSuccess else {
            return Finding(
                .tools, desktop, .blocker, "qemu-img cannot be run, which makes overlays and stores disks.",
                remedy: "Install qemu-utils.")
        }
        let version = result.standardOutput.split(separator: "\n").first ?? "qemu-img"
        return Finding(.tools, desktop, ok: "\(version) can be run.")
    }
}
