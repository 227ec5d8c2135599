import Foundation
import SnapshotProtocol
import SnapshotStore
import WireProtocol

/// Makes a manager's state: authority, certificates, configuration, catalog and repository.
package enum ManagerInitializer {
    /// Does nothing to a state that is there already, and says so: a new authority would shut out every enrolled host.
    package static func run(_ configuration: ManagerConfiguration, name: String) throws(ManagerError) {
        let state = configuration.state
        guard let name = EntityName(name)?.text else {
            throw ManagerError(.usage, "\(name) is no name for a manager: it takes \(EntityName.rule).")
        }
        guard !FileManager.default.fileExists(atPath: state.authorityCertificate) else {
            throw ManagerError(
                .alreadyExists,
                "There is an authority in \(state.path) already, and hosts may trust it. Choose another folder; or, if "
                    + "it is given up for good, remove that folder and enrol every host again.")
        }
        guard !configuration.gatewayAddress.isWildcard else {
            throw ManagerError(
                .usage,
                "The manager would listen on every address of this machine; say with --advertise under which name or "
                    + "address agents reach it.")
        }
        do throws(StoreError) {
            try DirectoryRepository.create(at: configuration.repository)
        } catch {
            // Here a path that leads nowhere is a wrong argument, not a broken disk.
            guard case .io = error else { throw ManagerError(error.failure) }
            throw ManagerError(.repositoryNotWritable, "\(error) Choose another folder for the repository.")
        }
        try state.makeFolder(state.path)
        try state.makeFolder(state.administrator)
        _ = try Catalog(path: state.catalog)

        let authority = try CertificateAuthority(name: name)
        let root = try authority.credentials
        let server = try authority.issueManager(
            name: name,
            addresses: [configuration.listen, configuration.enrollment, configuration.gatewayAddress])
        let administrator = try authority.issueAdministrator(name: "admin")
        try state.write(server.certificate, to: state.serverCertificate)
        try state.write(server.key, to: state.serverKey)
        try state.write(root.certificate, to: state.administrator + "/ca.pem")
        try state.write(administrator.certificate, to: state.administrator + "/cert.pem")
        try state.write(administrator.key, to: state.administrator + "/key.pem")
        try state.write("\(configuration.gatewayAddress)\n", to: state.administrator + "/manager")
        try state.write(configuration.yaml, to: state.configuration)
        try state.write(root.key, to: state.authorityKey)
        // Last: its presence says that the state is whole.
        try state.write(root.certificate, to: state.authorityCertificate)
    }
}
