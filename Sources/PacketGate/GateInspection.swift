import Glibc

/// What the gate needs of its host, looked at without a gate. It works in the namespace of the calling thread, and
/// changes nothing.
package enum GateInspection {
    /// Capabilities without which there is no gate, by their numbers in <linux/capability.h>.
    private static let rights = [(12, "CAP_NET_ADMIN"), (13, "CAP_NET_RAW")]

    /// Names of the needed capabilities that the calling thread does not have.
    package static var missingRights: [String] {
        let status = SmallFile.read("/proc/thread-self/status") ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("CapEff:") }
        let digits = line?.dropFirst("CapEff:".count).filter { !$0.isWhitespace }
        let capabilities = digits.flatMap { UInt64($0, radix: 16) } ?? 0
        return rights.filter { capabilities >> UInt64($0.0) & 1 == 0 }.map(\.1)
    }

    package static func checkKernel() throws(GateError) {
        guard access("/proc/thread-self/net/netfilter", F_OK) == 0 else { throw .kernelLacks("netfilter") }
        // Made by br_netfilter, per namespace.
        guard access("/proc/sys/net/bridge/bridge-nf-call-iptables", F_OK) == 0 else {
            throw .kernelLacks("the module br_netfilter")
        }
    }

    /// What the packet filter's tools say of themselves, such as `iptables-restore v1.8.9 (nf_tables)`, if they take
    /// rules of the kinds that the gate makes. Nothing is put into force.
    package static func filterTools() throws(GateError) -> [String] {
        let filter = try PacketFilter()
        try filter.tryOut(OwnChains.trial)
        return try filter.versions()
    }

    /// The tools that show rules of the host's which drop what bridges forward, as soon as the packet filter sees it:
    /// for as long as gates are closed. Docker and many firewalls have such a policy.
    package static func filtersThatDropForwarded() throws(GateError) -> [String] {
        let rules = try PacketFilter().rules(table: "filter")
        return [("iptables", rules.ipv4), ("ip6tables", rules.ipv6)].filter { dropsForwarded($0.1) }.map(\.0)
    }

    /// Whether saved rules drop what is forwarded and let nothing by for being bridged. What single rules do is their
    /// owner's wish; what the policy does to frames between two VMs hardly ever is.
    static func dropsForwarded(_ rules: String) -> Bool {
        let lines = rules.split(separator: "\n")
        guard lines.contains(where: { $0.hasPrefix(":FORWARD DROP ") }) else { return false }
        return !lines.contains {
            $0.hasPrefix("-A FORWARD ") && $0.hasSuffix("-j ACCEPT")
                && ($0.contains("--physdev-is-bridged") || $0 == "-A FORWARD -j ACCEPT")
        }
    }

    /// Binds a queue and lets it go.
    package static func checkQueue(_ number: UInt16) throws(GateError) {
        _ = try PacketQueue(number: number, length: 64, receiveBuffer: 65_536)
    }

    /// Sets the switches of a bridge to what they are.
    package static func checkBridge(_ name: String) throws(GateError) {
        guard let bridge = try LinkTable.read().byName[name], bridge.kind == "bridge" else {
            throw .bridgeMissing(name)
        }
        guard let ipv4 = bridge.filtersIPv4, let ipv6 = bridge.filtersIPv6 else {
            throw .kernelLacks("packet filtering on bridges (CONFIG_BRIDGE_NETFILTER)")
        }
        try LinkTable.setFilters(of: bridge, ipv4: ipv4, ipv6: ipv6)
    }
}

extension PacketGate {
    /// The queue numbers that the next epoch would take for so many members, and which of them cannot be bound.
    package func inspectQueues(members: Int) -> [(number: UInt16, failure: GateError?)] {
        // An epoch that opens now would find the queue taken by ourselves.
        withNumbersAtRest { free in
            free.prefix(members * 2).map { number in
                do throws(GateError) {
                    try GateInspection.checkQueue(number)
                    return (number, nil)
                } catch {
                    return (number, error)
                }
            }
        }
    }

    /// As `GateInspection.checkBridge`, beside epochs that use the bridge.
    package func inspectBridge(_ name: String) throws(GateError) { try switches.inspect(name) }
}
