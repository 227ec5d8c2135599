import Foundation

/// The kernel and the initial file system of the guests, made of Debian's packages and the witness of this package, and
/// kept by content: a change of any source makes another image.
package struct GuestImage: Sendable {
    package var kernel: String
    package var initrd: String

    private static let kernelPackage = "linux-image-cloud-amd64"
    private static let modules = [
        "virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "failover",
        "net_failover", "virtio_net", "virtio_blk",
    ]
    private static let applets = ["sh", "cat", "echo", "insmod", "ip", "mount", "printf", "reboot"]
    private static let busybox = "/bin/busybox"

    /// `$HOLDFAST_CACHE`, or a folder of the user.
    package static var cache: String {
        let environment = ProcessInfo.processInfo.environment
        if let folder = environment["HOLDFAST_CACHE"], folder.hasPrefix("/") { return folder }
        return "\(environment["HOME"] ?? "/root")/.cache/holdfast"
    }

    /// The guest's sources in this package.
    static var sources: String {
        if let folder = ProcessInfo.processInfo.environment["HOLDFAST_GUEST_SOURCES"] { return folder }
        let here = URL(filePath: #filePath)
        return here.deletingLastPathComponent().deletingLastPathComponent().appending(path: "Guest").path
    }

    /// Returns the image, after making it if the cache has none of these sources.
    package static func prepare(progress: @Sendable (String) -> Void = { _ in }) async throws -> GuestImage {
        let kernelFolder = try await unpackedKernel(progress: progress)
        let witnessSources = try FileManager.default.contentsOfDirectory(atPath: "\(sources)/witness")
            .filter { $0.hasSuffix(".swift") }.sorted().map { "\(sources)/witness/\($0)" }
        let hashes = try await Command.require(["sha256sum", busybox, "\(sources)/init"] + witnessSources)
        let compiler = try await Command.require(["swiftc", "--version"])
        let recipe = ([kernelFolder, compiler] + modules + applets).joined(separator: "\n")
        // Only the hashes: the same sources may lie in another folder.
        let contents = hashes.split(separator: "\n").map { $0.prefix(64) }.joined(separator: "\n")
        let digest = try await Command.require(["sha256sum"], input: recipe + contents)
        let folder = "\(cache)/guest-\(digest.prefix(16))"
        let image = GuestImage(kernel: "\(folder)/vmlinuz", initrd: "\(folder)/initrd")
        if FileManager.default.fileExists(atPath: image.initrd) { return image }

        progress("building the guest image")
        let work = "\(folder).\(getpid())"
        try? FileManager.default.removeItem(atPath: work)
        defer { try? FileManager.default.removeItem(atPath: work) }
        let root = "\(work)/root"
        for name in ["bin", "dev", "proc", "sys", "modules"] {
            try FileManager.default.createDirectory(atPath: "\(root)/\(name)", withIntermediateDirectories: true)
        }
        try await Command.require(
            ["swiftc", "-O", "-static-executable", "-o", "\(work)/witness"] + witnessSources)
        try await Command.require(["strip", "-o", "\(root)/witness", "\(work)/witness"])
        try await Command.require(["cp", busybox, "\(root)/bin/busybox"])
        for applet in applets {
            try FileManager.default.createSymbolicLink(
                atPath: "\(root)/bin/\(applet)", withDestinationPath: "busybox")
        }
        try await Command.require(["install", "-m", "755", "\(sources)/init", "\(root)/init"])
        let found = try await Command.require(["find", kernelFolder, "-name", "*.ko"]).split(separator: "\n")
        for module in modules {
            guard let path = found.first(where: { $0.hasSuffix("/\(module).ko") }) else {
                throw LabError.badConfiguration("the kernel in \(kernelFolder) has no module \(module)")
            }
            try await Command.require(["cp", String(path), "\(root)/modules/"])
        }
        let names = try FileManager.default.subpathsOfDirectory(atPath: root).sorted().joined(separator: "\n")
        try await Command.require(
            ["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0", "-D", root, "-F", "\(work)/initrd"],
            input: names + "\n")
        try await Command.require(["gzip", "-1", "\(work)/initrd"])
        try FileManager.default.moveItem(atPath: "\(work)/initrd.gz", toPath: "\(work)/initrd")
        guard
            let kernel = try FileManager.default.contentsOfDirectory(atPath: "\(kernelFolder)/boot")
                .first(where: { $0.hasPrefix("vmlinuz-") })
        else { throw LabError.badConfiguration("there is no kernel in \(kernelFolder)/boot") }
        try await Command.require(["cp", "\(kernelFolder)/boot/\(kernel)", "\(work)/vmlinuz"])
        try await Command.require(["rm", "-rf", root, "\(work)/witness"])
        // Whoever else made the same image meanwhile has made the same.
        if rename(work, folder) != 0, !FileManager.default.fileExists(atPath: image.initrd) {
            throw LabError.badConfiguration("cannot write \(folder): \(String(cString: strerror(errno)))")
        }
        return image
    }

    /// The folder into which Debian's kernel package is unpacked; nothing is installed.
    private static func unpackedKernel(progress: @Sendable (String) -> Void) async throws -> String {
        try FileManager.default.createDirectory(atPath: cache, withIntermediateDirectories: true)
        let depends = try await Command.run(["apt-cache", "depends", kernelPackage]).standardOutput
        let package = depends.split(separator: "\n").compactMap { line -> String? in
            let words = line.split(separator: " ")
            return words.count == 2 && words[0] == "Depends:" && words[1].hasPrefix("linux-image-")
                ? String(words[1]) : nil
        }.first
        guard let package else {
            // Without the package lists, one that was unpacked before is as good.
            let kept = try FileManager.default.contentsOfDirectory(atPath: cache)
                .filter { $0.hasPrefix("linux-image-") && !$0.contains(".tmp") }.sorted().last
            guard let kept else { throw LabError.missingTool(kernelPackage, package: "(apt-get update first)") }
            return "\(cache)/\(kept)"
        }
        let folder = "\(cache)/\(package)"
        if FileManager.default.fileExists(atPath: folder) { return folder }
        progress("downloading Debian's \(package)")
        let work = "\(folder).tmp\(getpid())"
        try FileManager.default.createDirectory(atPath: work, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: work) }
        try await Command.require(["env", "-C", work, "apt-get", "-qq", "download", package])
        guard
            let archive = try FileManager.default.contentsOfDirectory(atPath: work)
                .first(where: { $0.hasSuffix(".deb") })
        else { throw LabError.badConfiguration("apt-get download \(package) left no package") }
        try await Command.require(["dpkg", "-x", "\(work)/\(archive)", "\(work)/unpacked"])
        if rename("\(work)/unpacked", folder) != 0, !FileManager.default.fileExists(atPath: folder) {
            throw LabError.badConfiguration("cannot write \(folder): \(String(cString: strerror(errno)))")
        }
        return folder
    }
}
