import MarkupTree

/// What libvirt says that a host can run (`virsh capabilities`).
enum HostCapabilities {
    /// Architectures and machine types, as a VM's requirements name them; of a text that cannot be read nothing.
    static func offer(in xml: String) -> [String: String] {
        guard let document = try? MarkupDocument(xml), document.root.name == "capabilities" else { return [:] }
        let architectures = document.root.elements("guest", "arch")
        // The canonical name is in the list too; the short one is what it stands for on this host alone.
        let machines = architectures.flatMap { $0.elements("machine") + $0.elements("domain", "machine") }
            .filter { $0["canonical"] == nil }.map(\.text)
        return [
            "arch": Set(architectures.compactMap { $0["name"] }).sorted().joined(separator: ","),
            "machine": Set(machines).sorted().joined(separator: ","),
        ]
    }
}
