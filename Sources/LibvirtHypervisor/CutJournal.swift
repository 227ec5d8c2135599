import FoundationEssentials
import Glibc
import Hypervisor

/// What a cut has changed on a VM, on disk before it is changed: an agent that was killed puts it right by this.
struct CutJournal: Codable, Sendable {
    struct Overlay: Codable, Sendable, Hashable {
        var target: String
        var original: String
        var originalFormat: String
        var overlay: String
    }

    var uuid: String
    var overlays: [Overlay]
    /// QEMU's limit for migrations before we lifted it, in bytes per second.
    var bandwidth: UInt64?

    static let suffix = ".cut.json"

    func path(in workspace: String) -> String { "\(workspace)/\(uuid)\(Self.suffix)" }

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

    func remove(from workspace: String) {
        unlink(path(in: workspace))
    }

    static func all(in workspace: String) -> [CutJournal] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: workspace)) ?? []
        return names.filter { $0.hasSuffix(suffix) }.compactMap { name in
            guard let data = FileManager.default.contents(atPath: "\(workspace)/\(name)") else { return nil }
            return try? JSONDecoder().decode(CutJournal.self, from: data)
        }
    }
}
