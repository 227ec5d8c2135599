import ArgumentParser
import Foundation
import Logging
import SnapshotManager
import WireProtocol

/// The coordinator daemon, and what is done once for it.
@main
struct HoldfastManager: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast-manager",
        abstract: "Coordinates global snapshots of VMs on many desktops.",
        subcommands: [Init.self, Token.self, Run.self])

    static func main() async {
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let error as ManagerError {
            FileHandle.standardError.write(Data("holdfast-manager: \(error)\n".utf8))
            Foundation.exit(error.exitCode)
        } catch {
            exit(withError: error)
        }
    }
}

extension HoldfastManager {
    struct Init: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes a manager's authority, certificates, configuration, catalog and repository.")

        @Option(help: "Folder for the manager's state.")
        var state: String

        @Option(help: "Name of the manager.")
        var name: String

        @Option(help: "Folder of the repository, the same on every host.")
        var repository: String

        @Option(help: "ADDRESS:PORT for agents and command lines.")
        var listen = "0.0.0.0:7443"

        @Option(help: "ADDRESS:PORT for enrolment. (default: the next port after --listen)")
        var enrollListen: String?

        @Option(help: "Name or address under which agents reach this machine. (default: that of --listen)")
        var advertise: String?

        mutating func run() throws {
            let gateway = try address(listen, "--listen")
            let enrollment =
                try enrollListen.map { try address($0, "--enroll-listen") }
                ?? NetworkAddress(host: gateway.host, port: gateway.port + 1)
            let settings = ManagerConfiguration(
                state: StateDirectory(absolute(state)), repository: absolute(repository), listen: gateway,
                enrollment: enrollment, advertise: advertise ?? gateway.host)
            try ManagerInitializer.run(settings, name: name)
            print(
                """
                The manager's state is in \(settings.state.path). Next:
                  holdfast-manager run --config \(settings.state.configuration)
                  holdfast-manager token --state \(settings.state.path) --host NAME
                Administrators use the credentials in \(settings.state.administrator).
                """)
        }

        private func address(_ text: String, _ option: String) throws -> NetworkAddress {
            guard let address = NetworkAddress(text), (1...65534).contains(address.port) else {
                throw ValidationError("\(option) is \(text), which is not ADDRESS:PORT.")
            }
            return address
        }

        private func absolute(_ path: String) -> String {
            path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
        }
    }

    struct Token: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints a one-time token with which a host enrols.",
            discussion: "Enrolling a host again makes its former certificate useless.")

        @Option(help: "Folder of the manager's state.")
        var state: String

        @Option(help: "Name of the host.")
        var host: String

        @Option(help: "Hours for which the token is good.")
        var hours: UInt64 = 24

        func validate() throws {
            guard (1...8_760).contains(hours) else { throw ValidationError("--hours must lie between 1 and 8760.") }
        }

        mutating func run() async throws {
            let settings = try await ManagerConfiguration.load(file: StateDirectory(state).configuration)
            let token = try await TokenIssuer(settings).issue(host: host, lifetime: hours * 3_600)
            print(token)
        }
    }

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Runs the manager until SIGTERM or SIGINT.")

        @Option(help: "The configuration that `holdfast-manager init` wrote.")
        var config: String

        mutating func run() async throws {
            let settings = try await ManagerConfiguration.load(file: config)
            guard let level = Logger.Level(rawValue: settings.logLevel) else {
                throw ValidationError("log: level is \(settings.logLevel), which is no level of logging.")
            }
            LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
            var logger = Logger(label: "holdfast.manager")
            logger.logLevel = level
            try await ManagerServer.runUntilSignalled(settings, logger: logger)
        }
    }
}
