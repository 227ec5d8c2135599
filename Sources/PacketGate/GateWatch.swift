import CNetfilterQueue
import Glibc
import Packets

/// What the sentry knows and does. Every method is called on the sentry's thread.
// SAFETY: handed to its thread once and from then on used there only; see `GateSentry`.
final class GateWatch: @unchecked Sendable {
    /// A tap as it was when the epoch was opened.
    struct Port: Sendable {
        var member: String
        var tap: String
        var index: Int32
        var bridge: String
        var bridgeIndex: Int32
    }

    struct Findings: Sendable {
        var foreignChanges: UInt64 = 0
        /// What is wrong with a member's taps.
        var reasons: [String: [String]] = [:]
        /// Where each tap's guest sends what.
        var destinations: [String: [IPAddress: HardwareAddress]] = [:]
    }

    private let filter: PacketFilter
    private let ports: [Port]
    private let report: @Sendable (GateEvent) -> Void
    private var learners: [String: DestinationLearner]
    private let transactions: NetlinkSocket
    private let links: NetlinkSocket
    private var isWatching = false
    private var isEnding = false
    private var findings = Findings()
    /// When the last change of our own was seen to be live, on the monotonic clock. The tool that made it ends up to tens
    /// of milliseconds later: after a deletion the kernel waits for an RCU grace period before it lets it go.
    private var lastOwnTransaction: UInt64?

    /// Subscribes before anything is armed, so that no transaction goes by unseen.
    init(
        filter: PacketFilter, ports: [Port], report: @escaping @Sendable (GateEvent) -> Void
    ) throws(GateError) {
        self.filter = filter
        self.ports = ports
        self.report = report
        transactions = try NetlinkSocket(protocolNumber: NETLINK_NETFILTER)
        try transactions.join(group: UInt32(NFNLGRP_NFTABLES.rawValue))
        links = try NetlinkSocket(protocolNumber: NETLINK_ROUTE)
        try links.join(group: UInt32(RTNLGRP_LINK.rawValue))
        learners = [:]
        for port in ports { learners[port.tap] = try DestinationLearner(tap: port.tap) }
    }

    func run(_ mailbox: CommandMailbox) {
        while !isEnding {
            var descriptors = [mailbox.descriptor, transactions.descriptor, links.descriptor]
            if isWatching { descriptors += learners.values.map(\.descriptor) }
            var polled = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            poll(&polled, nfds_t(polled.count), -1)
            mailbox.runAll()
            takeAll()
        }
        mailbox.closeAndRunRest()
        learners = [:]
    }

    func end() { isEnding = true }

    /// From now on changes are faults and learners learn.
    func beginWatching() -> GateError? {
        takeAll()
        isWatching = true
        do throws(GateError) {
            for learner in learners.values { try learner.start() }
            return nil
        } catch {
            return error
        }
    }

    /// Takes what is there and says what was found up to now.
    func look() -> Findings {
        takeAll()
        inspectLinks()
        for (tap, learner) in learners { findings.destinations[tap] = learner.destinations }
        return findings
    }

    /// Returns when the last change of our own was live.
    func stopWatching() -> UInt64? {
        takeAll()
        isWatching = false
        // A learner that cannot be stopped only costs time until it is closed.
        for learner in learners.values { try? learner.stop() }
        return lastOwnTransaction
    }

    private func takeAll() {
        takeTransactions()
        takeLinks()
        if isWatching { for learner in learners.values { learner.drain() } }
    }

    private func takeTransactions() {
        while true {
            switch transactions.receivePending() {
            case .messages(let messages):
                for message in messages { note(message) }
            case .overrun: noteForeign("somebody (the kernel's account of it overran)")
            case .nothing, .failed: return
            }
        }
    }

    private func note(_ message: NetlinkMessage) {
        guard let (number, name) = Self.author(of: message) else { return }
        guard !filter.isOwn(process: number) else { return lastOwnTransaction = GateClock.monotonic }
        noteForeign("\(name) (process \(number))")
    }

    /// The kernel ends each transaction with the number and the name of the process that made it; nil for other
    /// messages.
    static func author(of message: NetlinkMessage) -> (process: pid_t, name: String)? {
        guard message.type == UInt16(NFNL_SUBSYS_NFTABLES) << 8 | UInt16(NFT_MSG_NEWGEN.rawValue) else { return nil }
        let attributes = message.attributes(after: MemoryLayout<nfgenmsg>.size)
        let process = attributes[UInt16(NFTA_GEN_PROC_PID.rawValue)]?.native(UInt32.self, at: 0)
        let number = pid_t(truncatingIfNeeded: UInt32(bigEndian: process ?? 0))
        return (number, attributes[UInt16(NFTA_GEN_PROC_NAME.rawValue)]?.zeroTerminatedString ?? "?")
    }

    private func noteForeign(_ process: String) {
        guard isWatching else { return }
        findings.foreignChanges += 1
        report(.broken(.foreignChange(process: process)))
    }

    private func takeLinks() {
        while true {
            switch links.receivePending() {
            case .messages(let messages):
                guard isWatching else { continue }
                for message in messages {
                    guard let link = LinkTable.parse(message) else { continue }
                    let isGone = message.type == RTM_DELLINK
                    for port in ports {
                        if link.index == port.index { check(port, isGone ? nil : link) }
                        if link.index == port.bridgeIndex { checkBridge(port, isGone ? nil : link) }
                    }
                }
            case .overrun: if isWatching { inspectLinks() }
            case .nothing, .failed: return
            }
        }
    }

    private func inspectLinks() {
        guard let table = try? LinkTable.read() else { return }
        for port in ports {
            check(port, table.byName[port.tap])
            checkBridge(port, table.byName[port.bridge])
        }
    }

    private func check(_ port: Port, _ link: NetworkLink?) {
        guard let link, link.index == port.index, link.isUp, link.master == port.bridgeIndex else {
            let reason = "The tap \(port.tap) went down, away or off its bridge."
            return add(reason, to: port.member, .tapGone(member: port.member, tap: port.tap))
        }
    }

    private func checkBridge(_ port: Port, _ link: NetworkLink?) {
        guard let link, link.index == port.bridgeIndex, link.filtersIPv4 != false, link.filtersIPv6 != false else {
            let reason = "The bridge \(port.bridge) went away or no longer shows its packets to the packet filter."
            return add(reason, to: port.member, .queueLost(member: port.member, reason: reason))
        }
    }

    private func add(_ reason: String, to member: String, _ fault: GateFault) {
        guard findings.reasons[member]?.contains(reason) != true else { return }
        findings.reasons[member, default: []].append(reason)
        report(.broken(fault))
    }
}
