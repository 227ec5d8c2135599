import FoundationEssentials
import Glibc
import Hypervisor
import Logging
import SnapshotProtocol

/// What a restore has loaded on this desktop, on disk before it is loaded: an agent that was killed in the middle
/// leaves no VM that is paused for ever.
struct RestoreJournal: Codable, Sendable {
    struct Member: Codable, Sendable {
        var machine: String
        /// Folder of the disks that were made for it.
        var folder: String
    }

    var name: String
    var members: [Member]
    /// Whether the manager has said that the restore is complete. Before that only it knows whether all members run.
    var committed: Bool?

    private static let suffix = ".restore.json"

    private func path(in state: String) -> String { "\(state)/\(name)\(Self.suffix)" }

    func write(in state: String) throws {
        let path = path(in: state)
        try JSONEncoder().encode(self).write(to: URL(filePath: path), options: .atomic)
        let folder = open(state, O_RDONLY | O_DIRECTORY)
        if folder >= 0 {
            fsync(folder)
            close(folder)
        }
    }

    func remove(from state: String) { unlink(path(in: state)) }

    static func all(in state: String) -> [RestoreJournal] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: state)) ?? []
        return names.filter { $0.hasSuffix(suffix) }.compactMap { name in
            guard let data = FileManager.default.contents(atPath: "\(state)/\(name)") else { return nil }
            return try? JSONDecoder().decode(RestoreJournal.self, from: data)
        }
    }

    /// Ends restores that were cut short: what they loaded goes, with its disks, also if it runs already. The manager
    /// has missed this agent, and has had the members on all other hosts discarded: one that stayed would run alone.
    /// After the manager's `finish` all stay.
    static func recover(in state: String, hypervisor: any HypervisorDriver, logger: Logger) async throws {
        for journal in all(in: state) {
            try await withThrowingTaskGroup { group in
                for member in journal.members {
                    group.addTask {
                        try await journal.recover(member, hypervisor: hypervisor, logger: logger)
                    }
                }
                try await group.waitForAll()
            }
            journal.remove(from: state)
        }
    }

    private func recover(_ member: Member, hypervisor: any HypervisorDriver, logger: Logger) async throws {
        let machine: VirtualMachine
        do throws(HypervisorError) {
            machine = try await hypervisor.machine(member.machine)
        } catch {
            guard case .unknownMachine = error else { throw error }
            try? FileManager.default.removeItem(atPath: member.folder)
            return
        }
        switch (machine.uses(member.folder), committed == true) {
        // Somebody has switched it off since; its disks are all that is left of it.
        case (true, _) where machine.state == .off: break
        case (true, true): try await hypervisor.keep(member.machine)
        case (true, false):
            logger.notice("removing a VM of a restore that was not completed", metadata: ["vm": "\(machine.name)"])
            try await hypervisor.destroy(member.machine)
            try? FileManager.default.removeItem(atPath: member.folder)
        case (false, _): try? FileManager.default.removeItem(atPath: member.folder)
        }
    }
}

extension VirtualMachine {
    /// Whether a disk of it lies in that folder.
    func uses(_ folder: String) -> Bool { disks.contains { $0.path?.hasPrefix(folder + "/") == true } }
}
