import Foundation
import Glibc

/// The folder of the stand-in's state, `VBOX_USER_HOME`: which VMs there are, locks, and its guests' sockets.
struct Home {
    let folder: String

    init() {
        let environment = ProcessInfo.processInfo.environment
        folder = environment["VBOX_USER_HOME"] ?? "\(environment["HOME"] ?? "/root")/.config/VirtualBox-standin"
        for name in ["", "/run", "/locks"] {
            try? FileManager.default.createDirectory(atPath: folder + name, withIntermediateDirectories: true)
        }
    }

    // MARK: Locks

    /// Held by the kernel, so that the end of a process ends them.
    func locked<Value>(_ name: String, _ body: () throws -> Value) rethrows -> Value {
        let descriptor = open("\(folder)/locks/\(name)", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(descriptor) }
        while flock(descriptor, LOCK_EX) != 0 && errno == EINTR {}
        return try body()
    }

    /// Waits unless whoever holds it says that it takes longer.
    func lockedUnlessBusy<Value>(_ uuid: String, _ body: (_ busy: String?) throws -> Value) rethrows -> Value {
        let descriptor = open("\(folder)/locks/\(uuid)", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(descriptor) }
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            if let state = try? String(contentsOfFile: busyFile(uuid), encoding: .utf8), !state.isEmpty {
                return try body(state)
            }
            usleep(5_000)
        }
        return try body(nil)
    }

    private func busyFile(_ uuid: String) -> String { "\(folder)/run/\(uuid).busy" }

    /// Says, while `body` lasts, what state the VM is in.
    func busy<Value>(_ uuid: String, _ state: String, _ body: () throws -> Value) rethrows -> Value {
        try? state.write(toFile: busyFile(uuid), atomically: true, encoding: .utf8)
        defer { unlink(busyFile(uuid)) }
        return try body()
    }

    // MARK: Registry

    private var registryFile: String { "\(folder)/VirtualBox.json" }

    /// Settings files by UUID.
    func registry() -> [String: String] {
        guard let data = FileManager.default.contents(atPath: registryFile) else { return [:] }
        return (try? JSONDecoder().decode([String: String].self, from: data)) ?? [:]
    }

    func changeRegistry(_ body: (inout [String: String]) throws -> Void) throws {
        try locked("registry") {
            var registry = registry()
            try body(&registry)
            try JSONEncoder().encode(registry).write(to: URL(filePath: registryFile), options: .atomic)
        }
    }

    /// By UUID or name, as VirtualBox takes both.
    func find(_ word: String) throws -> Machine {
        let registry = registry()
        if let file = registry[word.lowercased()] {
            return try Machine(uuid: word.lowercased(), file: file, home: self)
        }
        for (uuid, file) in registry {
            if let model = try? SettingsReader.machine(at: file), model.name == word {
                return try Machine(uuid: uuid, file: file, home: self)
            }
        }
        let isUUID = word.count == 36 && word.filter { $0 == "-" }.count == 4
        throw Refusal(
            "Could not find a registered machine \(isUUID ? "with UUID {\(word)}" : "named '\(word)'")",
            code: .objectNotFound)
    }
}
