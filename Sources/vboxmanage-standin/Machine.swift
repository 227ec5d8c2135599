import Foundation
import Glibc

/// A registered VM: its settings file and its guest.
struct Machine {
    let uuid: String
    let file: String
    let home: Home
    var model: MachineModel

    init(uuid: String, file: String, home: Home) throws {
        self.uuid = uuid
        self.file = file
        self.home = home
        model = try SettingsReader.machine(at: file)
    }

    var folder: String { String(file[..<(file.lastIndex(of: "/") ?? file.endIndex)]) }
    var snapshotFolder: String { "\(folder)/Snapshots" }
    var logFile: String { "\(folder)/Logs/VBox.log" }
    var guest: Guest { Guest(machine: self) }

    func path(_ location: String) -> String { location.hasPrefix("/") ? location : "\(folder)/\(location)" }

    mutating func reload() throws { model = try SettingsReader.machine(at: file) }

    func save(isOld: Bool = false) throws {
        try SettingsWriter.text(model, isOld: isOld).write(toFile: file, atomically: true, encoding: .utf8)
    }

    func log(_ line: String) {
        try? FileManager.default.createDirectory(
            atPath: "\(folder)/Logs", withIntermediateDirectories: true)
        let descriptor = open(logFile, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let text = Array("00:00:00.000000 \(line)\n".utf8)
        _ = write(descriptor, text, text.count)
    }

    /// The names that VirtualBox gives to states.
    func state() -> String {
        switch guest.runState() {
        case .running: return "running"
        case .loading: return "restoring"
        case .stopped(let reason):
            if reason == "io-error" { log("Console: VM runtime error: fatal=false, errorID=DrvVD_DISKFULL") }
            return "paused"
        case .silent: return "gurumeditation"
        case .absent:
            if guest.wasStarted { return model.stateFile == nil ? "aborted" : "aborted-saved" }
            return model.stateFile == nil ? "poweroff" : "saved"
        }
    }

    /// Whether its process is there.
    var isOn: Bool { guest.process != nil }

    func requireOff() throws {
        if isOn {
            throw Refusal(
                "The machine '\(model.name)' is already locked by a session (or being locked or unlocked)",
                code: .invalidObjectState)
        }
    }

    func requireOn() throws {
        if !isOn { throw Refusal("Machine '\(model.name)' is not currently running.") }
    }
}
