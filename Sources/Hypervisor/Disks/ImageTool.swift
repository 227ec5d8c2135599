import Foundation
import Subprocess
import SystemPackage

/// `qemu-img`, for what needs no running VM.
package enum ImageTool {
    /// An empty overlay on top of `backing`.
    package static func createOverlay(_ path: String, backing: String, format: String) async throws(HypervisorError) {
        try await run(["create", "-q", "-f", "qcow2", "-b", backing, "-F", format, path])
    }

    /// Writes what `overlay` holds into the file below it.
    package static func commit(_ overlay: String) async throws(HypervisorError) {
        try await run(["commit", "-q", overlay])
    }

    private static func run(_ arguments: [String]) async throws(HypervisorError) {
        do {
            let result = try await Subprocess.run(
                .name("qemu-img"), arguments: Arguments(arguments), output: .discarded,
                error: .string(limit: 16 * 1024))
            guard result.terminationStatus.isSuccess else {
                let text = result.standardError.trimmingCharacters(in: .whitespacesAndNewlines)
                if text.contains("No space left") { throw HypervisorError.noSpace("qemu-img: \(text).") }
                throw HypervisorError.failed("qemu-img \(arguments[0]) failed: \(text).")
            }
        } catch let error as HypervisorError {
            throw error
        } catch {
            throw .failed("qemu-img could not be started: \(error). Install the package qemu-utils.")
        }
    }
}
