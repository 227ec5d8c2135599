import FoundationEssentials
import Glibc

/// What a cut has changed on a VM, on disk before it is changed: an agent that was killed puts it right by this.
package struct CutJournal: Codable, Sendable {
    package struct Overlay: Codable, Sendable, Hashable {
        package var target: String
        package var original: String
        package var originalFormat: String
        package var overlay: String

        package init(target: String, original: String, originalFormat: String, overlay: String) {
            self.target = target
            self.original = original
            self.originalFormat = originalFormat
            self.overlay = overlay
        }
    }

    package var uuid: String
    package var overlays: [Overlay]
    /// QEMU's limit for migrations before we lifted it, in bytes per second.
    package var bandwidth: UInt64?
    /// Files that the cut has made besides the overlays.
    package var copies: [String]?

    package init(uuid: String, overlays: [Overlay], bandwidth: UInt64? = nil, copies: [String]? = nil) {
        self.uuid = uuid
        self.overlays = overlays
        self.bandwidth = bandwidth
        self.copies = copies
    }

    package static let suffix = ".cut.json"

    package func path(in workspace: String) -> String { "\(workspace)/\(uuid)\(Self.suffix)" }

    package func write(to workspace: String) throws(HypervisorError) {
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

    package func remove(from workspace: String) {
        unlink(path(in: workspace))
    }

    package static func all(in workspace: String) -> [CutJournal] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: workspace)) ?? []
        return names.filter { $0.hasSuffix(suffix) }.compactMap { name in
            guard let data = FileManager.default.contents(atPath: "\(workspace)/\(name)") else { return nil }
            return try? JSONDecoder().decode(CutJournal.self, from: data)
        }
    }
}
