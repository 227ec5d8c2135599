import FoundationEssentials
import Glibc

/// What the processes of this machine have open.
enum OpenFiles {
    /// Process and path of each open file below a folder, also of removed ones.
    static func below(_ folder: String) -> [String] {
        let processes = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return processes.filter { $0.allSatisfy(\.isNumber) }.flatMap { process -> [String] in
            let descriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd")) ?? []
            return descriptors.compactMap { descriptor in
                let path = try? FileManager.default.destinationOfSymbolicLink(
                    atPath: "/proc/\(process)/fd/\(descriptor)")
                guard let path, path.hasPrefix(folder + "/") else { return nil }
                return "\(path) in process \(process)"
            }
        }
    }

    /// What this process has open, by number; the listing's own descriptor is left out.
    static var descriptors: [String: String] {
        let folder = "/proc/self/fd"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.reduce(into: [:]) { open, name in
            open[name] = try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\(name)")
        }
    }

    /// The processes that this one has started and that live.
    static func children() -> Set<String> {
        let processes = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return Set(
            processes.filter { $0.allSatisfy(\.isNumber) }.filter { process in
                guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
                    let end = text.lastIndex(of: ")")
                else { return false }
                let words = text[text.index(after: end)...].split(separator: " ")
                return words.count > 1 && words[0] != "Z" && words[1] == "\(getpid())"
            })
    }
}
