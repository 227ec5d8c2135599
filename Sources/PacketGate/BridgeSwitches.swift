import Logging
import NIOConcurrencyHelpers

/// The switches of bridges that make iptables and ip6tables see what they forward.
///
/// They are on only while an epoch or a fence needs them, because a host whose filter drops forwarded packets
/// (Docker, a firewall) would otherwise drop its guests' bridged traffic for as long as the agent runs. Former values
/// are written to a file before anything is changed: a restarted agent puts back what a killed one left.
final class BridgeSwitches: Sendable {
    private struct Former: Hashable {
        var ipv4: Bool
        var ipv6: Bool
    }

    private struct State {
        var users: [String: Int] = [:]
        var former: [String: Former] = [:]
    }

    private let path: String
    private let logger: Logger
    private let state = NIOLockedValueBox(State())

    init(stateDirectory: String, logger: Logger) throws(GateError) {
        try SmallFile.makeFolder(stateDirectory)
        path = stateDirectory + "/bridge-switches"
        self.logger = logger
        try putBackStale()
    }

    /// Turns the switches of these bridges on, or counts one more user of bridges that are on already.
    func acquire(_ bridges: Set<String>) throws(GateError) {
        let failure = state.withLockedValue { state -> GateError? in
            do throws(GateError) {
                let table = try LinkTable.read()
                for name in bridges.sorted() {
                    guard let bridge = table.byName[name], bridge.kind == "bridge" else {
                        throw .bridgeMissing(name)
                    }
                    guard bridge.filtersIPv4 != nil, bridge.filtersIPv6 != nil else {
                        throw .kernelLacks("packet filtering on bridges (CONFIG_BRIDGE_NETFILTER)")
                    }
                }
                var turned: [NetworkLink] = []
                for name in bridges {
                    if state.users[name, default: 0] == 0, let bridge = table.byName[name],
                        let ipv4 = bridge.filtersIPv4, let ipv6 = bridge.filtersIPv6, !(ipv4 && ipv6)
                    {
                        state.former[name] = Former(ipv4: ipv4, ipv6: ipv6)
                        turned.append(bridge)
                    }
                    state.users[name, default: 0] += 1
                }
                if !turned.isEmpty {
                    try remember(state.former)
                    for bridge in turned { try LinkTable.setFilters(of: bridge, ipv4: true, ipv6: true) }
                }
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
    }

    /// Counts one user less, and puts back the switches of bridges that have none left.
    func release(_ bridges: Set<String>) {
        state.withLockedValue { state in
            for name in bridges {
                guard let users = state.users[name] else { continue }
                state.users[name] = users > 1 ? users - 1 : nil
                guard users == 1, let former = state.former.removeValue(forKey: name) else { continue }
                putBack(name, former)
            }
            do {
                try remember(state.former)
            } catch {
                logger.warning("the memory of bridge switches could not be written", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Puts back all switches whoever uses them.
    func releaseAll() {
        state.withLockedValue { state in
            for (name, former) in state.former { putBack(name, former) }
            state = State()
            SmallFile.remove(path)
        }
    }

    private func putBack(_ name: String, _ former: Former) {
        do throws(GateError) {
            // A bridge that is gone took its switches with it.
            guard let bridge = try LinkTable.read().byName[name] else { return }
            try LinkTable.setFilters(of: bridge, ipv4: former.ipv4, ipv6: former.ipv6)
        } catch {
            logger.error(
                "the switches of a bridge could not be put back",
                metadata: ["bridge": "\(name)", "error": "\(error)"])
        }
    }

    /// First the boot to which the values belong, then a bridge and its two values a line.
    private func remember(_ former: [String: Former]) throws(GateError) {
        guard !former.isEmpty else { return SmallFile.remove(path) }
        let lines = former.sorted { $0.key < $1.key }.map {
            "\($0.key) \($0.value.ipv4 ? 1 : 0) \($0.value.ipv6 ? 1 : 0)\n"
        }
        try SmallFile.replace(path, with: Self.boot + "\n" + lines.joined())
    }

    private func putBackStale() throws(GateError) {
        guard let content = SmallFile.read(path) else { return }
        let lines = content.split(separator: "\n")
        // After a reboot the bridges are new and have their own values.
        if lines.first.map(String.init) == Self.boot {
            for line in lines.dropFirst() {
                let words = line.split(separator: " ")
                guard words.count == 3 else { continue }
                logger.notice("putting back what a former agent changed", metadata: ["bridge": "\(words[0])"])
                putBack(String(words[0]), Former(ipv4: words[1] == "1", ipv6: words[2] == "1"))
            }
        }
        SmallFile.remove(path)
    }

    private static var boot: String {
        let identity = SmallFile.read("/proc/sys/kernel/random/boot_id") ?? ""
        return identity.filter { !$0.isWhitespace }
    }
}
