import ArgumentParser
import ManagerClient

package enum OutputFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    case table, json
}

/// What every command that talks to the manager takes.
struct ConnectionOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The manager's address.",
            discussion: "Else HOLDFAST_MANAGER, else the one that the credentials name, else localhost:7443.",
            valueName: "host:port"))
    var manager: String?

    @Option(
        help: ArgumentHelp(
            "Folder with ca.pem, cert.pem and key.pem.",
            discussion: "Else HOLDFAST_CREDENTIALS, else /etc/holdfast.", valueName: "folder"))
    var credentials: String?

    @Option(help: "How the answer is written: table or json.")
    var output: OutputFormat = .table

    func connect() throws(ManagerCallError) -> any ManagerCalls {
        let environment = CommandEnvironment.current
        func variable(_ name: String) -> String? {
            guard let value = environment.variables[name], !value.isEmpty else { return nil }
            return value
        }
        return try environment.connect(
            manager ?? variable("HOLDFAST_MANAGER"),
            credentials ?? variable("HOLDFAST_CREDENTIALS") ?? CommandEnvironment.defaultCredentials)
    }
}
