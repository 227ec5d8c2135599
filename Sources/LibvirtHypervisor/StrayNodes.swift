import FoundationEssentials
import Hypervisor

/// Block nodes of an overlay that a libvirtd has made in QEMU and that its successor knows nothing of, since it was killed
/// in between: their names would be given once more at the next cut, and QEMU refuses that.
enum StrayNodes {
    private struct Answer: Decodable {
        struct Node: Decodable {
            var name: String?
            var file: String?

            enum CodingKeys: String, CodingKey {
                case name = "node-name"
                case file
            }
        }
        var `return`: [Node]
    }

    /// Names of the nodes that stand on the file at `path`, by the answer to `query-named-block-nodes`.
    static func names(on path: String, in answer: String) -> [String] {
        let nodes = (try? JSONDecoder().decode(Answer.self, from: Data(answer.utf8)))?.return ?? []
        // A format's own file may be told as the options that it was opened with.
        return nodes.filter { $0.file?.contains(path) ?? false }.compactMap(\.name)
    }

    /// Removes what nothing uses. What is in use QEMU keeps, and then the overlay must not go: a libvirtd that was killed a
    /// moment later has diverted the disk and not noted it, and the guest writes there.
    static func remove(
        of overlays: [CutJournal.Overlay], on domain: borrowing LibvirtDomain
    ) throws(HypervisorError) {
        let query = MonitorCommand.text("query-named-block-nodes", ["flat": true])
        for overlay in overlays {
            // A format holds its file: once it is gone, the file's node can go too.
            for _ in 0..<2 {
                for name in names(on: overlay.overlay, in: try domain.execute(query)) {
                    _ = try? domain.execute(MonitorCommand.text("blockdev-del", ["node-name": name]))
                }
            }
            guard names(on: overlay.overlay, in: try domain.execute(query)).isEmpty else {
                throw .failed(
                    "\(domain.name) writes into \(overlay.overlay), which libvirt knows nothing of. Do not remove the file "
                        + "or end the VM: its disk \(overlay.target) would lose what was written since the cut.")
            }
        }
    }
}
