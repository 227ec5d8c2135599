import Dispatch
import Glibc
import Logging
import NIOConcurrencyHelpers
import Packets
import Testing

@testable import PacketGate

/// A gate on a desktop of the test bed, called in that desktop's namespace.
final class GateFixture: Sendable {
    static let key = [UInt8](repeating: 7, count: 32)

    let desktop: Desktop
    let gate: PacketGate
    let folder: String

    init(on desktop: Desktop, queueLength: UInt32 = 65_536, receiveBuffer: Int = 16 << 20, folder: String? = nil) throws
    {
        self.desktop = desktop
        let folder = try folder ?? Self.makeFolder()
        self.folder = folder
        do {
            gate = try desktop.run {
                try PacketGate(
                    configuration: GateConfiguration(
                        stateDirectory: folder, queueLength: queueLength, receiveBuffer: receiveBuffer),
                    logger: Logger(label: "test"))
            }
        } catch {
            rmdir(folder)
            throw error
        }
    }

    deinit {
        try? desktop.run { [gate] in gate.shutDown() }
        unlink(folder + "/bridge-switches")
        rmdir(folder)
    }

    static func makeFolder() throws -> String {
        var template = Array("/tmp/holdfast-gate-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw TestbedError("no folder in /tmp") }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// A plan of a cluster of these guests, with the members of this desktop.
    func plan(
        _ guests: [Guest], epoch: UInt64 = 1, budget: Duration = .seconds(60), colourBudget: Duration = .seconds(60)
    ) -> EpochPlan {
        EpochPlan(
            epoch: epoch, key: Self.key,
            members: guests.filter { $0.desktop === desktop }.map { GatedMember(name: $0.name, nics: [$0.nic]) },
            peers: guests.map { PeerNIC(member: $0.name, mac: $0.mac) }, holdBudget: budget, colourBudget: colourBudget)
    }

    func open(_ guests: [Guest], epoch: UInt64 = 1, budget: Duration = .seconds(60)) throws -> EpochFixture {
        try open(plan(guests, epoch: epoch, budget: budget))
    }

    func open(_ plan: EpochPlan) throws -> EpochFixture {
        let gate = gate
        return EpochFixture(try desktop.run { try gate.openEpoch(plan) }, on: desktop)
    }

    func arm(_ guests: [Guest], epoch: UInt64 = 1, budget: Duration = .seconds(60)) throws -> EpochFixture {
        let opened = try open(guests, epoch: epoch, budget: budget)
        try opened.call { try $0.arm(.hold) }
        return opened
    }

    /// An epoch in colour mode, and whether it heeds colour already.
    func armColour(_ guests: [Guest], epoch: UInt64 = 1, heeding: Bool = false) throws -> EpochFixture {
        let opened = try open(guests, epoch: epoch)
        try opened.call { try $0.arm(.colour) }
        if heeding { opened.epoch.heedColour() }
        return opened
    }

    func shutDown() throws { try desktop.run { [gate] in gate.shutDown() } }
}

/// An epoch of the test bed with all that it has told.
final class EpochFixture: Sendable {
    let epoch: EpochGate
    private let desktop: Desktop
    private let told: NIOLockedValueBox<[GateEvent]>

    init(_ epoch: EpochGate, on desktop: Desktop) {
        self.epoch = epoch
        self.desktop = desktop
        let told = NIOLockedValueBox<[GateEvent]>([])
        self.told = told
        Task { for await event in epoch.events { told.withLockedValue { $0.append(event) } } }
    }

    deinit { try? desktop.run { [epoch] in epoch.close() } }

    func call<Value: Sendable>(_ body: @escaping @Sendable (EpochGate) throws -> Value) throws -> Value {
        let epoch = epoch
        return try desktop.run { try body(epoch) }
    }

    /// What has been told up to now.
    var events: [GateEvent] { told.withLockedValue { $0 } }

    /// Whether such an event comes; no only after a long wait.
    func hears(_ isExpected: @Sendable (GateEvent) -> Bool) async throws -> Bool {
        try await eventually { self.events.contains(where: isExpected) }
    }

    /// How many packets wait in the kernel, in this epoch's egress and ingress queues.
    func waiting() throws -> (egress: UInt64, ingress: UInt64) {
        let statistics = try desktop.statistics()
        var sums: [UInt64] = [0, 0]
        for (index, number) in epoch.queueNumbers.enumerated() { sums[index % 2] += statistics[number]?.waiting ?? 0 }
        return (sums[0], sums[1])
    }

    /// The cut of one member, whose guest is frozen because it does not send meanwhile.
    func cut(_ member: String) throws {
        try call { epoch in
            epoch.beginCut(member)
            try epoch.notePlace(member)
        }
    }

    func log(of member: String) throws -> [PcapRecord] {
        try PcapFile.decode(try call { try $0.channelLog(of: member) })
    }
}

/// Whether a condition comes true; false only after a long wait.
func eventually(_ condition: () throws -> Bool) async throws -> Bool {
    for _ in 0..<2_000 {
        if try condition() { return true }
        try await Task.sleep(for: .milliseconds(5))
    }
    return false
}

extension EpochGate {
    func sendAllMarkers(_ kind: Marker.Kind) throws {
        try sendMarkers(kind, from: Set(gates.keys))
    }
}

/// Keeps the thread of a member's gate from its work: `unblock` lets it go on, `turn` waits until it does.
func block(_ epoch: EpochFixture, _ member: String) throws -> (turn: () -> Void, unblock: () -> Void) {
    let (blocked, release) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let answer = try #require(epoch.epoch.gates[member]).begin { _ in
        blocked.signal()
        release.wait()
    }
    blocked.wait()
    return ({ _ = answer() }, { release.signal() })
}
