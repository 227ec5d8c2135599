import Foundation
import SnapshotProtocol

/// Keeps a second manager away from the same state: it would throw away the first one's unfinished snapshots.
final class StateLock: Sendable {
    private let descriptor: CInt

    init(_ state: StateDirectory) throws(ManagerError) {
        descriptor = open(state.lock, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            let why = String(cString: strerror(errno))
            throw ManagerError(.noRights, "\(state.lock) cannot be opened: \(why). Check the rights of its folder.")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw ManagerError(.busy, "Another manager runs with the state in \(state.path). Stop it first.")
        }
    }

    deinit { close(descriptor) }
}
