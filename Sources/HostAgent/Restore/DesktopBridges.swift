import FoundationEssentials

/// The Linux bridges of this desktop.
enum DesktopBridges {
    /// All of them: a segment of an abandoned timeline may cross any.
    static func all() -> Set<String> {
        let links = (try? FileManager.default.contentsOfDirectory(atPath: "/sys/class/net")) ?? []
        return Set(links.filter { FileManager.default.fileExists(atPath: "/sys/class/net/\($0)/bridge") })
    }
}
