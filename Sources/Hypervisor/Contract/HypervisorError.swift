/// The closed list of what a driver can fail with. Each holds a sentence for people: what, of which VM, and what to do.
package enum HypervisorError: Error, Sendable, Hashable {
    /// No VM with that UUID. Lasts until somebody makes one.
    case unknownMachine(String)
    /// The VM is paused or off. Lasts until somebody starts it.
    case notRunning(String, state: String)
    /// The hypervisor cannot be reached. The only one that passes by itself, as when a daemon is started anew.
    case unavailable(String)
    /// Lasts until the host's administrator gives the rights.
    case noRights(String)
    /// The VM has something that keeps it from being snapshotted: a device, a disk format, …; or the hypervisor cannot do
    /// what is asked with any VM. Lasts until the VM is changed.
    case unsupported(String)
    /// A file system is full. Lasts until somebody makes room.
    case noSpace(String)
    /// The image or the description does not fit this host, or is damaged. Lasts: another host or another image is needed.
    case cannotLoad(String)
    /// The operation failed; the VM runs, or its process is gone. Another try may succeed.
    case failed(String)

    /// The sentence.
    package var text: String {
        switch self {
        case .unknownMachine(let text), .notRunning(let text, _), .unavailable(let text), .noRights(let text),
            .unsupported(let text), .noSpace(let text), .cannotLoad(let text), .failed(let text):
            text
        }
    }

    /// Whether it is worth to wait a moment and to do the same once more.
    package var passes: Bool {
        if case .unavailable = self { true } else { false }
    }
}
