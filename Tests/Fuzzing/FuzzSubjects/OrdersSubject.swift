import SnapshotProtocol
import SwiftProtobuf
import WireProtocol

/// The pieces are what a manager sends to one agent, in its order; the agent does at once what its machines want.
/// Then the connection is lost.
enum OrdersSubject {
    static let host = HostName("d1")

    static func run(_ bytes: [UInt8]) throws {
        var epoch = Epoch()
        var restore = Restore()
        var pathTest = PathTest()
        for piece in Pieces(bytes) {
            guard let message = try? ManagerMessage(Holdfast_V1_ManagerMessage(serializedBytes: piece)) else {
                continue
            }
            switch message {
            case .listMachines, .examine, .tellTime: continue
            case .pathTest(_, let command): try pathTest.happen(.command(command))
            case .snapshot(_, _, let command): try epoch.happen(.command(command))
            case .restore(_, let command): try restore.happen(.command(command))
            }
        }
        try epoch.happen(.managerLost)
        try Broken.unless(epoch.machine.phase == .finished, "An epoch does not end.")
        try Broken.unless(!epoch.isArmed, "Gates stay closed for ever.")
        try restore.happen(.managerLost)
        try Broken.unless(restore.machine.phase == .finished, "A restore does not end.")
        try Broken.unless(!restore.isFenced, "A fence stays for ever.")
        try pathTest.happen(.managerLost)
        try Broken.unless(pathTest.machine.phase == .finished, "A path test does not end.")
        try Broken.unless(!pathTest.isArmed, "A path test leaves gates armed.")
    }

    private struct PathTest {
        var machine = PathTestParticipant(host: OrdersSubject.host)
        var isArmed = false

        mutating func happen(_ first: PathTestParticipant.Event) throws {
            var events = [first]
            while !events.isEmpty {
                let wasFinished = machine.phase == .finished
                let actions = machine.handle(events.removeFirst(), at: Tick(0))
                try Broken.unless(!wasFinished || actions.isEmpty, "A path test that has ended wants something.")
                for action in actions {
                    switch action {
                    case .arm(let plan):
                        try Broken.unless(plan.budget <= PathTestPlan.longestBudget, "Gates stay armed for long.")
                        isArmed = true
                        events.append(.gatesArmed)
                    case .sendProbes: try Broken.unless(isArmed, "A probe is sent before the gates are armed.")
                    case .close:
                        isArmed = false
                        events.append(.closed([]))
                    case .report, .end: continue
                    }
                }
            }
        }
    }

    private struct Epoch {
        var machine = SnapshotParticipant(host: OrdersSubject.host)
        var isArmed = false
        private var now = Tick(0)

        mutating func happen(_ first: SnapshotParticipant.Event) throws {
            var events = [first]
            while !events.isEmpty {
                let wasFinished = machine.phase == .finished
                let actions = machine.handle(events.removeFirst(), at: now)
                try Broken.unless(!wasFinished || actions.isEmpty, "An epoch that has ended wants something.")
                for action in actions { if let event = try perform(action) { events.append(event) } }
            }
        }

        private mutating func perform(
            _ action: SnapshotParticipant.Action
        ) throws -> SnapshotParticipant.Event? {
            switch action {
            case .prepare(let member): return .memberPrepared(member.name)
            case .armGates:
                isArmed = true
                return .gatesArmed
            case .cut(let name):
                try Broken.unless(isArmed, "\(name) is cut with its gate open.")
                return .memberCut(
                    MemberCut(member: name, armedAt: 1, cutStartedAt: 2, cutEndedAt: 3, pause: 1, method: ""))
            case .releaseGates:
                isArmed = false
                return .gatesReleased([])
            case .store(let name):
                try Broken.unless(!isArmed, "\(name) is stored while its gate holds.")
                return .memberStored(StoredMember(member: name, parts: [], savedAt: 1, requirements: [:]))
            case .finish(let name): return .memberFinished(name)
            case .openGates:
                isArmed = false
                return .gatesOpened
            case .abandon(let name): return .memberAbandoned(name)
            // No marker ever comes: the bound passes.
            case .sendMarkers(.flush, _), .sendMarkers(.probe, _):
                now = now + SnapshotPlan.longestWait
                return .tick
            case .sendMarkers(.cut, _), .heedColour, .stopLateLog, .report, .end: return nil
            }
        }
    }

    private struct Restore {
        var machine = RestoreParticipant(host: OrdersSubject.host)
        var isFenced = false
        var loaded: Set<MemberName> = []

        mutating func happen(_ first: RestoreParticipant.Event) throws {
            var events = [first]
            while !events.isEmpty {
                let wasFinished = machine.phase == .finished
                let actions = machine.handle(events.removeFirst())
                try Broken.unless(!wasFinished || actions.isEmpty, "A restore that has ended wants something.")
                for action in actions { if let event = try perform(action) { events.append(event) } }
            }
        }

        private mutating func perform(_ action: RestoreParticipant.Action) throws -> RestoreParticipant.Event? {
            switch action {
            case .fence(let plan):
                isFenced = true
                try OrdersSubject.paths(of: plan)
                return .fenced
            case .load(let member):
                try Broken.unless(isFenced, "\(member.name) is loaded without a fence.")
                loaded.insert(member.name)
                return .memberLoaded(member.name)
            case .replay(let member): return .memberReplayed(member.name, segments: 1)
            case .open:
                isFenced = false
                return .opened
            case .start(let name):
                try Broken.unless(!isFenced, "\(name) runs behind a fence.")
                return .memberStarted(name)
            case .discard(let name):
                loaded.remove(name)
                return .memberDiscarded(name)
            case .liftFence:
                isFenced = false
                return .fenceLifted
            case .commit:
                loaded = []
                return nil
            case .report, .end: return nil
            }
        }
    }

    /// The files of a restored member lie in its own folder, whatever the plan calls them.
    private static func paths(of plan: RestorePlan) throws {
        for member in plan.members {
            for target in member.parts.compactMap(\.diskTarget) + [""] {
                let path = "/storage/\(member.machine)/\(plan.snapshot)-1/\(target).qcow2"
                let places = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
                try Broken.unless(
                    places.count == 5 && !places.contains { $0.elementsEqual("..".utf8) } && !path.utf8.contains(0),
                    "\(path.debugDescription) leads out of the folder.")
            }
        }
    }
}
