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

    /// Ends restores that were cut short. A VM that is still paused never ran from the new timeline and goes, with its
    /// disks; one that runs was started by the restore, and stays.
    static func recover(in state: String, hypervisor: any HypervisorDriver, logger: Logger) async throws {
        for journal in all(in: state) {
            for member in journal.members {
                let machine: VirtualMachine
                do throws(HypervisorError) {
                    machine = try await hypervisor.machine(member.machine)
                } catch {
                    guard case .unknownMachine = error else { throw error }
                    try? FileManager.default.removeItem(atPath: member.folder)
                    continue
                }
                let usesFolder = machine.disks.contains { $0.path?.hasPrefix(member.folder + "/") == true }
                switch machine.state {
                case .paused where usesFolder:
                    logger.notice("removing a VM that was loaded only", metadata: ["vm": "\(machine.name)"])
                    try await hypervisor.destroy(member.machine)
                    try? FileManager.default.removeItem(atPath: member.folder)
                case .running where usesFolder: try await hypervisor.keep(member.machine)
                case .off where !usesFolder: try? FileManager.default.removeItem(atPath: member.folder)
                default: break
                }
            }
            journal.remove(from: state)
        }
    }
}
