import Logging
import NIOConcurrencyHelpers

/// The switches of bridges that make iptables and ip6tables see what they forward.
///
/// They are on only while an epoch or a fence needs them, because a host whose filter drops forwarded packets
/// (Docker, a firewall) would otherwise drop its guests' bridged traffic for as long as the agent runs. Former values
/// are written to a file before anything is changed: a restarted agent puts back what a killed one left.
final class BridgeSwitches: Sendable {
    struct Former: Hashable {
        var bridge: String
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
                        state.former[name] = Former(bridge: name, ipv4: ipv4, ipv6: ipv6)
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

    /// Looks whether the switches of a bridge can be set, without another value and beside whoever uses them.
    func inspect(_ bridge: String) throws(GateError) {
        let failure = state.withLockedValue { _ -> GateError? in
            do throws(GateError) {
                try GateInspection.checkBridge(bridge)
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
                putBack(former)
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
            for former in state.former.values { putBack(former) }
            state = State()
            SmallFile.remove(path)
        }
    }

    private func putBack(_ former: Former) {
        do throws(GateError) {
            // A bridge that is gone took its switches with it.
            guard let bridge = try LinkTable.read().byName[former.bridge] else { return }
            try LinkTable.setFilters(of: bridge, ipv4: former.ipv4, ipv6: former.ipv6)
        } catch {
            logger.error(
                "the switches of a bridge could not be put back",
                metadata: ["bridge": "\(former.bridge)", "error": "\(error)"])
        }
    }

    private func remember(_ former: [String: Former]) throws(GateError) {
        guard !former.isEmpty else { return SmallFile.remove(path) }
        try SmallFile.replace(path, with: Self.memory(of: former.values.sorted { $0.bridge < $1.bridge }))
    }

    private func putBackStale() throws(GateError) {
        guard let content = SmallFile.read(path) else { return }
        for former in Self.former(in: content) {
            logger.notice("putting back what a former agent changed", metadata: ["bridge": "\(former.bridge)"])
            putBack(former)
        }
        SmallFile.remove(path)
    }

    /// First the boot to which the values belong, then a bridge and its two values a line.
    static func memory(of former: [Former]) -> String {
        boot + "\n" + former.map { "\($0.bridge) \($0.ipv4 ? 1 : 0) \($0.ipv6 ? 1 : 0)\n" }.joined()
    }

    /// What `memory(of:)` wrote. After a reboot the bridges are new and have their own values: then nothing.
    static func former(in memory: String) -> [Former] {
        let lines = memory.split(separator: "\n")
        guard lines.first.map(String.init) == boot else { return [] }
        return lines.dropFirst().compactMap { line in
            let words = line.split(separator: " ")
            guard words.count == 3 else { return nil }
            return Former(bridge: String(words[0]), ipv4: words[1] == "1", ipv6: words[2] == "1")
        }
    }

    static var boot: String {
        let identity = SmallFile.read("/proc/sys/kernel/random/boot_id") ?? ""
        return identity.filter { !$0.isWhitespace }
    }
}
