import Foundation

/// What a lab has made, written before each thing is made, so that `down` finds everything also after a crash.
struct LabState: Codable, Sendable {
    var configuration: LabConfiguration
    var accelerator: Accelerator
    /// Processes in the order of their start.
    var processes: [DaemonProcess]
    /// Empty folders of the machine that libvirtd's own were mounted over, and that were not there before.
    var createdFolders: [String]
    /// Whether `up` came to its end.
    var isComplete: Bool

    init(_ configuration: LabConfiguration) {
        self.configuration = configuration
        accelerator = .tcg
        processes = []
        createdFolders = []
        isComplete = false
    }

    /// Nil when the folder holds no lab.
    static func load(from directory: String) throws -> LabState? {
        let path = LabFolders(root: directory).state
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        do {
            return try JSONDecoder().decode(LabState.self, from: data)
        } catch {
            throw LabError.unreadableState(path, reason: "\(error)")
        }
    }

    func save() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let path = LabFolders(root: configuration.directory).state
        try encoder.encode(self).write(to: URL(filePath: path), options: .atomic)
    }
}
