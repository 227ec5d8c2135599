import HostAgent
import SnapshotManager
import SnapshotProtocol

/// The bytes are the YAML of an agent's configuration and of a manager's.
enum ConfigurationSubject {
    static func run(_ bytes: [UInt8]) throws {
        let file = try ScratchFolder.write(bytes, to: "configuration.yaml")
        if let agent = waiting(for: { try? await AgentConfiguration.load(from: file) }) {
            try Broken.unless(
                !agent.host.rawValue.isEmpty && !agent.repository.isEmpty, "What must be set is not.")
            try Broken.unless(
                UInt16(exactly: agent.queueBase) != nil && UInt32(exactly: agent.queueLength) != nil
                    && Int32(exactly: agent.receiveBuffer) != nil, "A number is beyond what the kernel takes.")
        }
        guard let manager = waiting(for: { try? await ManagerConfiguration.load(file: file) }) else { return }
        let written = try ScratchFolder.write(Array(manager.yaml.utf8), to: "written.yaml")
        let again = waiting(for: { try? await ManagerConfiguration.load(file: written) })
        try Broken.unless(again == manager, "A manager's configuration is written otherwise than read.")
    }
}
