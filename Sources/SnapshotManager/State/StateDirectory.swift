import Foundation
import SnapshotProtocol

/// The folder in which the manager keeps what must survive it, and the names in it.
package struct StateDirectory: Hashable, Sendable {
    package let path: String

    package init(_ path: String) {
        self.path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    }

    package var authorityCertificate: String { path + "/ca.pem" }
    package var authorityKey: String { path + "/ca-key.pem" }
    package var serverCertificate: String { path + "/server.pem" }
    package var serverKey: String { path + "/server-key.pem" }
    package var configuration: String { path + "/manager.yaml" }
    package var catalog: String { path + "/catalog.sqlite" }
    package var lock: String { path + "/lock" }
    /// What the command line needs: copy it to whoever administers.
    package var administrator: String { path + "/admin" }

    /// Makes a folder that only its owner may enter. Leaves one that is there as it is.
    func makeFolder(_ path: String) throws(ManagerError) {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw ManagerError(
                .noRights, "The folder \(path) cannot be made: \(error.localizedDescription) Check its parent's rights."
            )
        }
    }

    /// Writes a file that only its owner may read, whole or not at all.
    func write(_ text: String, to path: String) throws(ManagerError) {
        let temporary = path + ".new"
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.cannotWrite(path) }
        defer { close(descriptor) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw Self.cannotWrite(path) }
            rest = rest.dropFirst(count)
        }
        guard fsync(descriptor) == 0, rename(temporary, path) == 0 else { throw Self.cannotWrite(path) }
    }

    func read(_ path: String) throws(ManagerError) -> String {
        do {
            return try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw ManagerError(
                .notFound,
                "\(path) cannot be read: \(error.localizedDescription) Run `holdfast-manager init` first, or give the "
                    + "folder that it made.")
        }
    }

    private static func cannotWrite(_ path: String) -> ManagerError {
        let why = String(cString: strerror(errno))
        return ManagerError(.noRights, "\(path) cannot be written: \(why). Check rights and free space.")
    }
}
