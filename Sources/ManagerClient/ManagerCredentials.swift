import Foundation
import SnapshotProtocol

/// What proves to a manager who calls, and to the caller which manager answers. PEM.
package struct ManagerCredentials: Sendable {
    package var authority: String
    package var certificate: String
    package var key: String
    /// HOST:PORT of the manager that gave them out, when it is known.
    package var manager: String?

    package init(authority: String, certificate: String, key: String, manager: String? = nil) {
        self.authority = authority
        self.certificate = certificate
        self.key = key
        self.manager = manager
    }

    /// Reads `ca.pem`, `cert.pem`, `key.pem` and, if it is there, `manager` from the folder that
    /// `holdfast-manager init` made.
    package init(folder: String) throws(ManagerCallError) {
        func text(_ name: String) throws(ManagerCallError) -> String {
            do {
                return try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)
            } catch {
                throw ManagerCallError(
                    .unauthorized,
                    "The credentials \(folder)/\(name) cannot be read. Copy the admin folder of the manager's state here, "
                        + "or say with --credentials where it is; and check that you may read it.")
            }
        }
        authority = try text("ca.pem")
        certificate = try text("cert.pem")
        key = try text("key.pem")
        let address = try? String(contentsOfFile: "\(folder)/manager", encoding: .utf8)
        manager = address?.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
