import DesktopLab

/// Whether the file of a disk is sound.
enum DiskCheck {
    static func check(_ path: String, format: String) async throws {
        guard format == "qcow2" else { return }
        let result = try await Command.run(["qemu-img", "check", "-q", "-f", format, path])
        // 3: clusters that nothing refers to, as a killed process may leave.
        guard result.status == 0 || result.status == 3 else {
            throw Breach("\(path) is damaged: \(result.standardOutput)\(result.standardError)")
        }
    }
}
