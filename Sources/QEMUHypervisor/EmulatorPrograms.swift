import Foundation
import Glibc
import Hypervisor
import Subprocess
import SystemPackage

/// The QEMUs that are installed here, which `load` starts by their names.
enum EmulatorPrograms {
    static func offers() async -> [String: String] {
        let present = architectures(ProcessInfo.processInfo.environment["PATH"] ?? "")
        var machines: Set<String> = []
        var versions: Set<String> = []
        var runnable: [String] = []
        for architecture in present {
            guard let said = await say("--version", architecture), let version = version(in: said),
                let types = await say("-machine", "help", architecture)
            else { continue }
            runnable.append(architecture)
            versions.insert(version)
            machines.formUnion(machineTypes(in: types))
        }
        // Of a version for one architecture and another one for the other nothing can be said in one word.
        guard !runnable.isEmpty else { return [:] }
        var offers = [
            "hypervisor": "qemu", "arch": runnable.joined(separator: ","),
            "machine": machines.sorted().joined(separator: ","),
            "accelerator": access("/dev/kvm", R_OK | W_OK) == 0 ? "kvm,qemu" : "qemu",
        ]
        offers[HostProcessor.key] = HostProcessor.identity
        if versions.count == 1 { offers["version"] = versions.first }
        return offers
    }

    private static let prefix = "qemu-system-"

    /// By the names of the programs in `path`, as the shell finds them.
    static func architectures(_ path: String) -> [String] {
        let names = path.split(separator: ":").flatMap { folder in
            ((try? FileManager.default.contentsOfDirectory(atPath: String(folder))) ?? []).filter {
                $0.hasPrefix(prefix) && access("\(folder)/\($0)", X_OK) == 0
            }
        }
        // Such as `qemu-system-x86_64-microvm`, which is another build for the same.
        return Set(names.map { String($0.dropFirst(prefix.count)) }.filter { !$0.isEmpty && !$0.contains("-") })
            .sorted()
    }

    /// As in `QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)`.
    static func version(in text: String) -> String? {
        guard let word = text.range(of: "version ") else { return nil }
        let number = text[word.upperBound...].prefix { $0.isNumber || $0 == "." }
        return number.isEmpty ? nil : String(number)
    }

    /// The first word of each line but that of the heading.
    static func machineTypes(in text: String) -> [String] {
        text.split(whereSeparator: \.isNewline).dropFirst().compactMap { line in
            line.prefix { $0 != " " && $0 != "\t" }.isEmpty ? nil : String(line.prefix { $0 != " " && $0 != "\t" })
        }
    }

    /// What the program for an architecture, the last argument, prints; nil when it cannot be run.
    private static func say(_ arguments: String...) async -> String? {
        guard let architecture = arguments.last else { return nil }
        let result = try? await Subprocess.run(
            .name(prefix + architecture), arguments: Arguments(arguments.dropLast()),
            output: .string(limit: 256 * 1024),
            error: .discarded)
        guard let result, result.terminationStatus.isSuccess else { return nil }
        return result.standardOutput
    }
}
