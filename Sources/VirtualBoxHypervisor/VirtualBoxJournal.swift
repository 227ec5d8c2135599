import FoundationEssentials
import Glibc
import Hypervisor

/// What a cut does to a VM, on disk before it is done: an agent that was killed puts it right by this.
struct VirtualBoxJournal: Codable, Sendable, Hashable {
    var uuid: String
    /// Of the snapshot of this cut, and of no other in the world. Only such a one is ever deleted.
    var snapshot: String
    /// Whether the VM may have been paused by us.
    var isCutting = false
    /// Copies of frozen disks that were made for this cut.
    var copies: [String] = []

    static let prefix = "holdfast-"
    static let suffix = ".virtualbox.json"

    init(uuid: String) {
        self.uuid = uuid
        snapshot = Self.prefix + UUID().uuidString.lowercased()
    }

    private func path(in workspace: String) -> String { "\(workspace)/\(uuid)\(Self.suffix)" }

    func write(to workspace: String) throws(HypervisorError) {
        do {
            let file = path(in: workspace)
            try FileManager.default.createDirectory(atPath: workspace, withIntermediateDirectories: true)
            try JSONEncoder().encode(self).write(to: URL(filePath: file + ".new"))
            let descriptor = open(file + ".new", O_RDONLY)
            if descriptor >= 0 {
                fsync(descriptor)
                close(descriptor)
            }
            guard rename(file + ".new", file) == 0 else {
                throw HypervisorError.failed("Could not write \(file): \(String(cString: strerror(errno))).")
            }
        } catch let error as HypervisorError {
            throw error
        } catch {
            throw .failed("Could not write into \(workspace): \(error).")
        }
    }

    func remove(from workspace: String) { unlink(path(in: workspace)) }

    /// Those that name a snapshot of ours and copies in the workspace; anything else was not written by us.
    static func all(in workspace: String) -> [VirtualBoxJournal] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: workspace)) ?? []
        return names.filter { $0.hasSuffix(suffix) }.sorted().compactMap { name in
            guard let data = FileManager.default.contents(atPath: "\(workspace)/\(name)"),
                let journal = try? JSONDecoder().decode(VirtualBoxJournal.self, from: data),
                journal.snapshot.hasPrefix(prefix), MachineInfo.isUUID(journal.uuid),
                journal.copies.allSatisfy({ $0.hasPrefix("\(workspace)/") && !$0.contains("/../") })
            else { return nil }
            return journal
        }
    }
}
