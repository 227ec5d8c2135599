import DesktopLab
import Dispatch
import Foundation
import Hypervisor

extension Trial {
    enum Moment {
        case prepared
        case frozen
        case cut
        case stored
        case killed
    }

    /// An agent that does not get further than that.
    private func vanish(at moment: Moment) async throws {
        let lost = fixture.anotherDriver()
        let cut = try await lost.prepareCut(of: fixture.uuid, workspace: fixture.workspace, sink: CollectingSink())
        switch moment {
        case .prepared: break
        case .frozen:
            let (frozen, reached) = AsyncStream<Void>.makeStream()
            Task {
                _ = try await cut.perform {
                    reached.yield()
                    // For ever: nobody comes back from the dead.
                    DispatchSemaphore(value: 0).wait()
                }
            }
            for await _ in frozen { break }
        case .cut: _ = try await cut.perform {}
        case .stored:
            _ = try await cut.perform {}
            try await cut.imageComplete()
        case .killed:
            _ = try await cut.perform {}
            try await fixture.killGuest()
        }
        await fixture.bury(lost, in: cut)
    }

    func recovers(_ moment: Moment) async throws {
        try await vanish(at: moment)
        let successor = fixture.anotherDriver()
        try await successor.recover(workspace: fixture.workspace)
        if moment == .killed {
            try await isOffOnItsOwnDisks()
            try await fixture.startGuest()
        }
        try await allIsAsBefore()
        try await successor.recover(workspace: fixture.workspace)
        try await allIsAsBefore()
        // The next cut works, and without a recovery before it too.
        let next = try await successor.prepareCut(
            of: fixture.uuid, workspace: fixture.workspace, sink: CollectingSink())
        _ = try await next.perform {}
        try await next.imageComplete()
        await next.finish()
        await next.settled()
        try await allIsAsBefore()
        if moment == .killed { return }
        try await vanish(at: moment)
        let another = fixture.anotherDriver()
        let cut = try await another.prepareCut(
            of: fixture.uuid, workspace: fixture.workspace, sink: CollectingSink())
        _ = try await cut.perform {}
        let own = Set(fixture.disks.filter { !$0.readOnly }.compactMap(\.path))
        try require(Set(cut.frozenDisks.map(\.path)) == own, "frozen are \(cut.frozenDisks.map(\.path))")
        await cut.abandon()
        await cut.settled()
        try await allIsAsBefore()
    }

    func recoversTheOthers() async throws {
        try await vanish(at: .cut)
        try fixture.leaveHopelessJournals()
        let successor = fixture.anotherDriver()
        try await refusal("a recovery of what is hopeless") {
            try await successor.recover(workspace: fixture.workspace)
        }
        for name in Self.files(in: fixture.workspace) {
            try require(!name.contains(fixture.uuid), "left of the guest in the workspace: \(name)")
            try FileManager.default.removeItem(atPath: "\(fixture.workspace)/\(name)")
        }
        try await allIsAsBefore()
    }

    static func files(in folder: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    }
}
