import Foundation
import Glibc

/// The process of one QEMU, told from later ones of the same number by its start.
package struct GuestProcess: Hashable, Sendable {
    package let pid: Int32
    private let startTime: UInt64

    /// Nil when there is no such process.
    package init?(pid: Int32) {
        guard let startTime = Self.startTime(of: pid) else { return nil }
        self.pid = pid
        self.startTime = startTime
    }

    /// The process with this UUID on its command line; for monitors whose socket was made by another.
    package static func find(uuid: String) -> GuestProcess? {
        find { arguments in
            guard let place = arguments.firstIndex(where: { $0 == "-uuid" || $0 == "--uuid" }) else { return false }
            return arguments.dropFirst(place + 1).first?.lowercased() == uuid
        }
    }

    /// The process that serves that monitor socket by its command line; for one that takes no client.
    package static func find(monitor path: String) -> GuestProcess? {
        let path = path.replacing(",", with: ",,")
        return find { arguments in
            arguments.contains { argument in
                argument.contains(",server")
                    && ["unix:\(path)", "path=\(path)"].contains {
                        argument.contains("\($0),") || argument.hasSuffix($0)
                    }
            }
        }
    }

    private static func find(where isWanted: ([String]) -> Bool) -> GuestProcess? {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        for name in names {
            guard let pid = Int32(name), let process = GuestProcess(pid: pid), process.isQEMU else { continue }
            if isWanted(process.arguments) { return process }
        }
        return nil
    }

    /// The command line; empty once the process has ended.
    package var arguments: [String] {
        guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else { return [] }
        var words = data.split(separator: 0, omittingEmptySubsequences: false)
        if words.last?.isEmpty == true { words.removeLast() }
        return words.map { String(decoding: $0, as: UTF8.self) }
    }

    package var isQEMU: Bool {
        let program = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/exe")
        return program?.split(separator: "/").last?.hasPrefix("qemu-") ?? false
    }

    package var isRunning: Bool { Self.startTime(of: pid) == startTime }

    package var workingFolder: String {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/cwd")) ?? "/"
    }

    /// Names of the taps that it has open, by the number of the descriptor.
    package var taps: [Int32: String] {
        let folder = "/proc/\(pid)/fdinfo"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.reduce(into: [:]) { taps, name in
            guard let number = Int32(name), let data = FileManager.default.contents(atPath: "\(folder)/\(name)")
            else { return }
            for line in String(decoding: data, as: UTF8.self).split(separator: "\n") where line.hasPrefix("iff:") {
                let tap = line.dropFirst(4).trimmingCharacters(in: .whitespaces)
                if !tap.isEmpty { taps[number] = tap }
            }
        }
    }

    /// Ends it at once, and waits until it is gone; false if it is still there after some seconds.
    package func end() -> Bool {
        guard isRunning else { return true }
        kill(pid, SIGKILL)
        for _ in 0..<2_000 {
            if !isRunning { return true }
            usleep(5_000)
        }
        return false
    }

    /// In clock ticks after the machine's start; nil for one that is not there or has ended.
    private static func startTime(of pid: Int32) -> UInt64? {
        guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/stat") else { return nil }
        let text = String(decoding: data, as: UTF8.self)
        // The name, in brackets, may hold anything.
        guard let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 19, fields[0] != "X" else { return nil }
        if fields[0] == "Z" {
            // Files and sockets live on until the last of its threads has ended.
            let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []
            guard threads.count > 1 else { return nil }
        }
        return UInt64(fields[19])
    }
}
