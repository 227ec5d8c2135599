import Foundation
import Glibc
import NIOConcurrencyHelpers
import Subprocess
import SystemPackage

/// The emulators of QEMU that are installed on this host, by what they say of themselves.
package final class InstalledEmulators: Sendable {
    private struct Answer: Sendable {
        /// The program's file when it was asked: another version is another file.
        var identity: [UInt64]
        var version: String
        var machines: [String]
    }

    /// Those that desktops emulate; whoever has another is judged when a VM is loaded.
    private static let architectures = ["x86_64", "i386", "aarch64", "arm", "riscv64", "ppc64", "s390x"]

    private let answers = NIOLockedValueBox<[String: Answer]>([:])

    package init() {}

    /// Architectures, versions and machine types of all of them, as a VM's requirements name these. Without any emulator the
    /// lists are empty.
    package func offer() async -> [String: String] {
        var found: [(architecture: String, answer: Answer)] = []
        for architecture in Self.architectures {
            guard let path = Self.path(of: "qemu-system-\(architecture)"), let answer = await answer(of: path) else {
                continue
            }
            found.append((architecture, answer))
        }
        var offer = [
            "hypervisor": "qemu", "arch": found.map(\.architecture).joined(separator: ","),
            "machine": Set(found.flatMap(\.answer.machines)).sorted().joined(separator: ","),
        ]
        offer[HostProcessor.key] = HostProcessor.identity
        if !found.isEmpty { offer["version"] = Set(found.map(\.answer.version)).sorted().joined(separator: ",") }
        return offer
    }

    private static func path(of name: String) -> String? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin").split(separator: ":")
        return folders.map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }

    private func answer(of path: String) async -> Answer? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        let identity = [
            UInt64(status.st_dev), UInt64(status.st_ino), UInt64(bitPattern: Int64(status.st_mtim.tv_sec)),
            UInt64(bitPattern: Int64(status.st_size)),
        ]
        if let known = answers.withLockedValue({ $0[path] }), known.identity == identity { return known }
        guard let version = await Self.run(path, ["--version"]).flatMap(Self.version),
            let machines = await Self.run(path, ["-machine", "help"])
        else { return nil }
        let answer = Answer(identity: identity, version: version, machines: Self.machines(in: machines))
        answers.withLockedValue { $0[path] = answer }
        return answer
    }

    /// In `QEMU emulator version 7.2.22 (Debian …)`.
    static func version(in text: String) -> String? {
        guard let range = text.range(of: "version ") else { return nil }
        let number = text[range.upperBound...].prefix { $0.isNumber || $0 == "." }
        return number.isEmpty ? nil : String(number)
    }

    /// The first word of each line but the heading.
    static func machines(in text: String) -> [String] {
        text.split(whereSeparator: \.isNewline).dropFirst().compactMap { line in
            line.split(separator: " ").first.map(String.init)
        }
    }

    private static func run(_ path: String, _ arguments: [String]) async -> String? {
        let result = try? await Subprocess.run(
            .path(FilePath(path)), arguments: Arguments(arguments), output: .string(limit: 256 << 10),
            error: .discarded)
        guard let result, result.terminationStatus.isSuccess else { return nil }
        return result.standardOutput
    }
}
