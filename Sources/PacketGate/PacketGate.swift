import CNetfilterQueue
import Glibc
package import Logging
import NIOConcurrencyHelpers
package import Packets

/// The packet gate of one host: its own chains in the packet filter, the epochs that are open, the fence.
///
/// There is one per network namespace. It works in the namespace of the thread that calls it, so all calls must come
/// from threads of one namespace.
package final class PacketGate: Sendable {
    private struct State {
        var epochs: [ObjectIdentifier: EpochGate] = [:]
        var takenQueues: Set<UInt16> = []
        var gatedMembers: Set<String> = []
        var fenced: Set<String> = []
        var isShutDown = false
    }

    private let configuration: GateConfiguration
    private let logger: Logger
    private let filter: PacketFilter
    let switches: BridgeSwitches
    private let claim: NIOLockedValueBox<HostClaim?>
    private let state = NIOLockedValueBox(State())
    private let outside = NIOLockedValueBox<UInt64>(0)
    /// Held by whoever changes what the whole host has: chains, fence. Not taken on the packet path.
    private let control = NIOLock()

    /// Sweeps what a killed agent left, and makes the gate's own chains.
    package init(configuration: GateConfiguration, logger: Logger) throws(GateError) {
        self.configuration = configuration
        self.logger = logger
        try Self.checkRights()
        claim = NIOLockedValueBox(try HostClaim())
        try GateInspection.checkKernel()
        filter = try PacketFilter()
        // First the rules and then the switches: what a stale rule still queues has nobody to answer.
        try Self.install(filter)
        switches = try BridgeSwitches(stateDirectory: configuration.stateDirectory, logger: logger)
    }

    /// Packets that the gates of this host were handed while none was armed.
    package var packetsOutsideEpoch: UInt64 { outside.withLockedValue { $0 } }

    // MARK: - Epochs

    /// Binds the queues of this host's members and starts their threads. No rule leads to them before `arm`.
    package func openEpoch(_ plan: EpochPlan) throws(GateError) -> EpochGate {
        control.lock()
        defer { control.unlock() }
        guard !state.withLockedValue({ $0.isShutDown }) else { throw .wrongState("The gate is shut down") }
        try check(plan)
        let links = try LinkTable.read()
        let ports = try Self.ports(of: plan, links)
        let bridges = Set(ports.map(\.bridge))
        // Somebody may have flushed the tables since the last epoch.
        try Self.completeIfMissing(filter)
        try switches.acquire(bridges)
        do throws(GateError) {
            return try open(plan, ports: ports, links: links)
        } catch {
            switches.release(bridges)
            throw error
        }
    }

    private func open(
        _ plan: EpochPlan, ports: [GateWatch.Port], links: LinkTable
    ) throws(GateError) -> EpochGate {
        let events = AsyncStream.makeStream(of: GateEvent.self, bufferingPolicy: .bufferingOldest(65_536))
        let report: @Sendable (GateEvent) -> Void = { events.continuation.yield($0) }
        let watch = try GateWatch(filter: filter, ports: ports, report: report)
        let wires = try MarkerWires(bridges: Set(ports.map(\.bridge)), links: links)
        let sentry = try GateSentry(watch: watch)
        let signer = MarkerSigner(epoch: plan.epoch, key: plan.key)
        let owners = Dictionary(plan.peers.map { ($0.mac, $0.member) }) { first, _ in first }
        let opened = NIOLockedValueBox<WeakEpoch?>(nil)
        // Runs on the sentry's thread: removing rules waits for a subprocess, which a member's thread must not.
        let watchdogFired: @Sendable () -> Void = {
            sentry.post { opened.withLockedValue { $0 }?.epoch?.removeRules() }
        }
        var gates: [MemberGate] = []
        var numbers: [UInt16] = []
        do throws(GateError) {
            for member in plan.members {
                let (egressNumber, ingressNumber) = (try takeNumber(), try takeNumber())
                numbers += [egressNumber, ingressNumber]
                let egress = try queue(egressNumber)
                let ingress = try queue(ingressNumber)
                let loop = MemberLoop(
                    member: member.name, egress: egress, ingress: ingress, queueLength: configuration.queueLength,
                    signer: signer, owners: owners,
                    markers: MarkerLedger(receiver: member.name, expected: plan.expectedMarkers(of: member)),
                    report: report,
                    countOutside: { [outside] count in outside.withLockedValue { $0 += count } },
                    watchdogFired: watchdogFired)
                gates.append(try MemberGate(member, egress: egress, ingress: ingress, loop: loop))
            }
            for gate in gates { try gate.start() }
            try sentry.start()
        } catch {
            for gate in gates { gate.end() }
            sentry.end()
            giveBack(numbers)
            throw error
        }
        let epoch = EpochGate(
            plan: plan, gates: gates, sentry: sentry, wires: wires, signer: signer, filter: filter, logger: logger,
            events: (events.stream, events.continuation),
            packetsOutside: { [outside] in outside.withLockedValue { $0 } },
            whenClosed: { [weak self] epoch in self?.forget(epoch, members: plan.members.map(\.name)) })
        opened.withLockedValue { $0 = WeakEpoch(epoch: epoch) }
        state.withLockedValue { state in
            state.epochs[ObjectIdentifier(epoch)] = epoch
            state.gatedMembers.formUnion(plan.members.map(\.name))
        }
        return epoch
    }

    private struct WeakEpoch: Sendable {
        weak let epoch: EpochGate?
    }

    private func queue(_ number: UInt16) throws(GateError) -> PacketQueue {
        try PacketQueue(
            number: number, length: configuration.queueLength, receiveBuffer: configuration.receiveBuffer)
    }

    private func takeNumber() throws(GateError) -> UInt16 {
        let number = state.withLockedValue { state -> UInt16? in
            for number in configuration.queueBase...UInt16.max where !state.takenQueues.contains(number) {
                state.takenQueues.insert(number)
                return number
            }
            return nil
        }
        guard let number else { throw .internalError("all netfilter queues are in use") }
        return number
    }

    /// Calls `body` with the numbers that no epoch has, while none can be opened.
    func withNumbersAtRest<Value>(_ body: ([UInt16]) -> Value) -> Value {
        control.lock()
        defer { control.unlock() }
        let taken = state.withLockedValue { $0.takenQueues }
        return body((configuration.queueBase...UInt16.max).filter { !taken.contains($0) })
    }

    private func giveBack(_ numbers: [UInt16]) {
        state.withLockedValue { $0.takenQueues.subtract(numbers) }
    }

    private func forget(_ epoch: EpochGate, members: [String]) {
        let isLast = state.withLockedValue { state in
            state.epochs[ObjectIdentifier(epoch)] = nil
            state.takenQueues.subtract(epoch.queueNumbers)
            state.gatedMembers.subtract(members)
            return state.epochs.isEmpty
        }
        switches.release(epoch.bridges)
        if isLast { filter.forgetProcesses() }
    }

    private func check(_ plan: EpochPlan) throws(GateError) {
        guard plan.key.count >= 16 else { throw .badPlan("the key has fewer than 16 octets") }
        guard Set(plan.members.map(\.name)).count == plan.members.count else {
            throw .badPlan("a member is named twice")
        }
        for member in plan.members {
            guard !member.nics.isEmpty else { throw .badPlan("\(member.name) has no NIC") }
            let addresses = plan.peers.filter { $0.member == member.name }.map(\.mac)
            guard addresses == member.nics.map(\.mac) else {
                throw .badPlan("the NICs of \(member.name) are not those of the cluster's plan")
            }
            for nic in member.nics where !Self.isPlain(nic.tap) || !Self.isPlain(nic.bridge) {
                throw .badPlan("\(nic.tap) or \(nic.bridge) is no name of a network interface")
            }
        }
        for peer in plan.peers where peer.member.isEmpty || peer.member.utf8.count > 255 {
            throw .badPlan("a member's name must have 1 to 255 octets")
        }
        let names = plan.members.map(\.name)
        if let name = state.withLockedValue({ state in names.first { state.gatedMembers.contains($0) } }) {
            throw .wrongState("\(name) is gated for another epoch")
        }
    }

    /// Interface names go into the packet filter's input, where blanks, quotes and a plus sign mean something.
    private static func isPlain(_ name: String) -> Bool {
        (1...15).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "-_.:@".utf8.contains(byte)
                }
            } && !name.hasPrefix("-")
    }

    private static func ports(of plan: EpochPlan, _ links: LinkTable) throws(GateError) -> [GateWatch.Port] {
        var ports: [GateWatch.Port] = []
        for member in plan.members {
            for nic in member.nics {
                guard let bridge = links.byName[nic.bridge], bridge.kind == "bridge" else {
                    throw .bridgeMissing(nic.bridge)
                }
                guard let tap = links.byName[nic.tap], tap.master == bridge.index, tap.isUp else {
                    throw .tapMissing(nic.tap)
                }
                ports.append(
                    GateWatch.Port(
                        member: member.name, tap: nic.tap, index: tap.index, bridge: nic.bridge,
                        bridgeIndex: bridge.index))
            }
        }
        return ports
    }

    // MARK: - Restore

    /// From now on every IP packet that one of these bridges of this host gets from one of these addresses is dropped.
    /// Replaces a former fence.
    package func fence(
        hardwareAddresses: [HardwareAddress], bridges: Set<String>
    ) throws(GateError) {
        control.lock()
        defer { control.unlock() }
        guard !state.withLockedValue({ $0.isShutDown }) else { throw .wrongState("The gate is shut down") }
        try Self.completeIfMissing(filter)
        try switches.acquire(bridges)
        do throws(GateError) {
            try filter.apply(OwnChains.fence(hardwareAddresses))
        } catch {
            // One family may have it: half a fence is none.
            try? filter.apply(OwnChains.fence([]))
            switches.release(bridges)
            throw error
        }
        let former = state.withLockedValue { state in
            defer { state.fenced = bridges }
            return state.fenced
        }
        switches.release(former)
    }

    /// Does nothing without a fence.
    package func liftFence() throws(GateError) {
        control.lock()
        defer { control.unlock() }
        let fenced = state.withLockedValue { $0.fenced }
        guard !fenced.isEmpty else { return }
        try filter.apply(OwnChains.fence([]))
        state.withLockedValue { $0.fenced = [] }
        switches.release(fenced)
    }

    /// Writes frames into a guest's tap, in order. The guest may be paused: the tap keeps them until it runs.
    package func replay(frames: [[UInt8]], into tap: String) throws(GateError) {
        guard !frames.isEmpty else { return }
        guard let link = try LinkTable.read().byName[tap], link.kind == "tun", link.isUp else { throw .tapMissing(tap) }
        // A paused guest takes nothing, and a tap drops without a word what exceeds its queue. The queue stays long: to
        // shorten it would drop, and the tap goes with its guest.
        let needed = UInt32(clamping: frames.count + 256)
        if link.transmitQueueLength < needed { try LinkTable.setTransmitQueueLength(of: link, needed) }
        let handle = try CaptureHandle(interface: tap)
        do throws(GateError) {
            for frame in frames { try handle.inject(frame) }
        } catch {
            throw .replayFailed(tap: tap, reason: "\(error)")
        }
        let dropped = (try LinkTable.read().byName[tap]?.transmitDropped ?? 0) &- link.transmitDropped
        guard dropped == 0 else { throw .replayFailed(tap: tap, reason: "\(dropped) frames were dropped by the tap") }
    }

    // MARK: - End

    /// Closes all epochs, lifts the fence, removes rules and chains and puts the bridges' switches back. Idempotent.
    package func shutDown() {
        control.lock()
        defer { control.unlock() }
        let isFirst = state.withLockedValue { state in
            defer { state.isShutDown = true }
            return !state.isShutDown
        }
        guard isFirst else { return }
        // None can be opened any more.
        for epoch in state.withLockedValue({ Array($0.epochs.values) }) { epoch.close() }
        do throws(GateError) {
            let (raw, mangle) = (try filter.rules(table: "raw"), try filter.rules(table: "mangle"))
            try filter.apply(
                ipv4: OwnChains.removal(raw: raw.ipv4, mangle: mangle.ipv4),
                ipv6: OwnChains.removal(raw: raw.ipv6, mangle: mangle.ipv6))
        } catch {
            logger.error("the gate's chains could not be removed", metadata: ["error": "\(error)"])
        }
        switches.releaseAll()
        claim.withLockedValue { $0 = nil }
    }

    // MARK: - Start

    private static func install(_ filter: PacketFilter) throws(GateError) {
        let (raw, mangle) = (try filter.rules(table: "raw"), try filter.rules(table: "mangle"))
        try filter.apply(
            ipv4: OwnChains.installation(raw: raw.ipv4, mangle: mangle.ipv4),
            ipv6: OwnChains.installation(raw: raw.ipv6, mangle: mangle.ipv6))
    }

    private static func completeIfMissing(_ filter: PacketFilter) throws(GateError) {
        let (raw, mangle) = (try filter.rules(table: "raw"), try filter.rules(table: "mangle"))
        let isInstalled =
            OwnChains.areInstalled(raw: raw.ipv4, mangle: mangle.ipv4)
            && OwnChains.areInstalled(raw: raw.ipv6, mangle: mangle.ipv6)
        guard !isInstalled else { return }
        try filter.apply(
            ipv4: OwnChains.completion(raw: raw.ipv4, mangle: mangle.ipv4),
            ipv6: OwnChains.completion(raw: raw.ipv6, mangle: mangle.ipv6))
    }

    private static func checkRights() throws(GateError) {
        if let missing = GateInspection.missingRights.first { throw .noRights(missing) }
    }
}

extension EpochPlan {
    /// The index pairs over which markers must reach `receiver`, by sender: the nth NIC sends to the nth, as far as
    /// both have one.
    func expectedMarkers(of receiver: GatedMember) -> [String: Set<UInt8>] {
        let others = Dictionary(grouping: peers.filter { $0.member != receiver.name }, by: \.member)
        return others.mapValues { nics in
            Set((0..<min(nics.count, receiver.nics.count)).map { UInt8(truncatingIfNeeded: $0) })
        }
    }
}
