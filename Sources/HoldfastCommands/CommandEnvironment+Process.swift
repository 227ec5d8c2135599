import Foundation
import ManagerClient

extension CommandEnvironment {
    /// Where a manager listens unless something else is said.
    static let defaultManager = "localhost:7443"
    static let defaultCredentials = "/etc/holdfast"

    /// That of the process.
    package static var process: CommandEnvironment {
        CommandEnvironment(
            variables: ProcessInfo.processInfo.environment,
            isInteractive: isatty(STDERR_FILENO) == 1,
            output: { FileHandle.standardOutput.write(Data($0.utf8)) },
            error: { FileHandle.standardError.write(Data($0.utf8)) },
            connect: { (address, folder) throws(ManagerCallError) in
                let credentials = try ManagerCredentials(folder: folder)
                return try ManagerConnection(
                    address: address ?? credentials.manager ?? defaultManager, credentials: credentials)
            })
    }
}
