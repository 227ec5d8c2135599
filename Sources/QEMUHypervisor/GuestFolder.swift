import Foundation
import Glibc
import Hypervisor

/// Where monitors are found: those that the owner's patterns name, and the folder of the agent's own guests.
///
/// Of each of its own guests the folder holds, by its UUID: `.json`, the description of one that was kept; `.qmp`, the
/// monitor for the agent; `.monitor`, one more for the owner; `.pid` and `.log`.
struct GuestFolder: Sendable {
    let patterns: [String]
    let machines: String

    func file(_ uuid: String, _ suffix: String) -> String { "\(machines)/\(uuid).\(suffix)" }

    /// Every monitor socket that there is, the agent's own first.
    var sockets: [String] {
        var found: [String] = []
        for pattern in ["\(machines)/*.qmp"] + patterns {
            var result = glob_t()
            defer { globfree(&result) }
            guard glob(pattern, 0, nil, &result) == 0, let paths = result.gl_pathv else { continue }
            for index in 0..<Int(result.gl_pathc) {
                guard let path = paths[index].map({ String(cString: $0) }), !found.contains(path) else { continue }
                var status = stat()
                if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK { found.append(path) }
            }
        }
        return found
    }

    /// The kept descriptions; what is no description is left out.
    var descriptions: [GuestDescription] { files.compactMap { try? $0.description.get() } }

    /// Each file that should hold a description, and why it does not.
    var files: [(path: String, description: Result<GuestDescription, HypervisorError>)] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: machines)) ?? []
        return names.filter { $0.hasSuffix(".json") }.sorted().map { name in
            let path = "\(machines)/\(name)"
            guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
                return (path, .failure(.cannotLoad("It cannot be read.")))
            }
            return (path, Result { () throws(HypervisorError) in try GuestDescription(text) })
        }
    }

    func description(of uuid: String) -> GuestDescription? { descriptions.first { $0.uuid == uuid } }

    func keep(_ description: GuestDescription) throws(HypervisorError) {
        let file = file(description.uuid, "json")
        do {
            try FileManager.default.createDirectory(atPath: machines, withIntermediateDirectories: true)
            try Data(description.text.utf8).write(to: URL(filePath: file), options: .atomic)
        } catch {
            throw .failed("The description of \(description.name) could not be written to \(file): \(error).")
        }
    }

    /// What a process of that guest has left.
    func sweep(_ uuid: String) {
        for suffix in ["qmp", "monitor", "pid"] { unlink(file(uuid, suffix)) }
    }
}
