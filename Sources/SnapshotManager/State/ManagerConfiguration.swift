package import Configuration
import Foundation
import SnapshotProtocol
package import WireProtocol

/// What the manager is told before it starts. Read once: from `manager.yaml`, and over it from the environment.
package struct ManagerConfiguration: Hashable, Sendable {
    package var state: StateDirectory
    /// Folder of the repository.
    package var repository: String
    /// Where agents and command lines dial in.
    package var listen: NetworkAddress
    /// Where hosts enrol.
    package var enrollment: NetworkAddress
    /// Under which name or address of this machine agents reach it.
    package var advertise: String
    /// Longest time for which a gate may hold, in milliseconds.
    package var holdBudget: UInt64
    /// Longest time from arming to release in colour mode, in milliseconds.
    package var colourBudget: UInt64
    /// Longest wait for markers, in milliseconds.
    package var flushBound: UInt64
    /// Longest wait for an agent's list of VMs, in milliseconds.
    package var inventoryBound: UInt64
    /// Longest wait for the agents of a job's hosts to dial in, in milliseconds.
    package var reconnectBound: UInt64
    package var logLevel: String

    package static let defaultHoldBudget: UInt64 = 1_000
    package static let defaultColourBudget: UInt64 = 10_000
    package static let defaultFlushBound: UInt64 = 100
    package static let defaultInventoryBound: UInt64 = 20_000
    package static let defaultReconnectBound: UInt64 = 15_000

    package init(
        state: StateDirectory, repository: String, listen: NetworkAddress, enrollment: NetworkAddress,
        advertise: String, holdBudget: UInt64 = defaultHoldBudget,
        colourBudget: UInt64 = defaultColourBudget, flushBound: UInt64 = defaultFlushBound,
        inventoryBound: UInt64 = defaultInventoryBound, reconnectBound: UInt64 = defaultReconnectBound,
        logLevel: String = "info"
    ) {
        self.state = state
        self.repository = repository
        self.listen = listen
        self.enrollment = enrollment
        self.advertise = advertise
        self.holdBudget = holdBudget
        self.colourBudget = colourBudget
        self.flushBound = flushBound
        self.inventoryBound = inventoryBound
        self.reconnectBound = reconnectBound
        self.logLevel = logLevel
    }

    /// Reads the file, and `HOLDFAST_MANAGER_LISTEN` and the like over it.
    package static func load(file: String) async throws(ManagerError) -> ManagerConfiguration {
        guard FileManager.default.isReadableFile(atPath: file) else {
            throw ManagerError(
                .notFound,
                "The configuration \(file) cannot be read. Run `holdfast-manager init` first, or give the right file.")
        }
        do {
            let location = ConfigReader(
                provider: InMemoryProvider(values: ["filePath": ConfigValue(.string(file), isSecret: false)]))
            let yaml = try await FileProvider<YAMLSnapshot>(config: location)
            let environment = EnvironmentVariablesProvider().prefixKeys(with: "holdfast.manager")
            return try await ManagerConfiguration(ConfigReader(providers: [environment, yaml]), file: file)
        } catch let error as ManagerError {
            throw error
        } catch {
            throw ManagerError(
                .usage, "The configuration \(file) is not valid: \(error). Put it right and start again.")
        }
    }

    /// Takes every setting from `reader`. `file` is only for messages.
    package init(_ reader: ConfigReader, file: String) async throws(ManagerError) {
        func text(_ key: ConfigKey) async throws(ManagerError) -> String? {
            do {
                return try await reader.fetchString(forKey: key)
            } catch {
                throw ManagerError(.usage, "`\(key)` must be text. Put it right in \(file) or the environment.")
            }
        }
        func required(_ key: ConfigKey) async throws(ManagerError) -> String {
            guard let value = try await text(key), !value.isEmpty else {
                throw ManagerError(.usage, "The configuration \(file) does not say `\(key)`. Add it.")
            }
            return value
        }
        func address(_ key: ConfigKey) async throws(ManagerError) -> NetworkAddress {
            let value = try await required(key)
            guard let address = NetworkAddress(value) else {
                throw ManagerError(.usage, "`\(key)` is \(value), which is not ADDRESS:PORT. Put it right in \(file).")
            }
            return address
        }
        func milliseconds(
            _ key: ConfigKey, in range: ClosedRange<Int>, default value: UInt64
        ) async throws(ManagerError) -> UInt64 {
            let found: Int?
            do {
                found = try await reader.fetchInt(forKey: key)
            } catch {
                throw ManagerError(.usage, "`\(key)` must be a number. Put it right in \(file) or the environment.")
            }
            let number = found ?? Int(value)
            guard range.contains(number) else {
                throw ManagerError(
                    .usage,
                    "`\(key)` is \(number); it must lie between \(range.lowerBound) and \(range.upperBound). "
                        + "Put it right in \(file) or the environment.")
            }
            return UInt64(number)
        }
        let listen = try await address("listen")
        let advertise = try await text("advertise") ?? listen.host
        guard NetworkAddress(NetworkAddress(host: advertise, port: listen.port).description) != nil else {
            throw ManagerError(
                .usage, "`advertise` is \(advertise), which is neither a name nor an address. Put it right in \(file).")
        }
        self.init(
            state: StateDirectory(try await required("state")),
            repository: try await required("repository"),
            listen: listen,
            enrollment: try await address("enrollment"),
            advertise: advertise,
            holdBudget: try await milliseconds("hold.budget", in: 50...60_000, default: Self.defaultHoldBudget),
            colourBudget: try await milliseconds(
                "colour.budget", in: 50...600_000, default: Self.defaultColourBudget),
            flushBound: try await milliseconds("hold.flushBound", in: 1...10_000, default: Self.defaultFlushBound),
            inventoryBound: try await milliseconds(
                "inventory.bound", in: 100...600_000, default: Self.defaultInventoryBound),
            reconnectBound: try await milliseconds(
                "agents.reconnectBound", in: 0...600_000, default: Self.defaultReconnectBound),
            logLevel: try await text("log.level") ?? "info")
    }

    /// The file that `init` writes.
    package var yaml: String {
        """
        # Holdfast manager. Every key can be overridden by the environment: HOLDFAST_MANAGER_LISTEN,
        # HOLDFAST_MANAGER_HOLD_BUDGET and so on.
        state: \(Self.quoted(state.path))
        repository: \(Self.quoted(repository))
        # Where agents and command lines dial in, and where hosts enrol.
        listen: \(Self.quoted(listen.description))
        enrollment: \(Self.quoted(enrollment.description))
        # The name or address under which agents reach this machine. It is in the server's certificate.
        advertise: \(Self.quoted(advertise))
        hold:
          # Longest time for which a gate may hold traffic, in milliseconds.
          budget: \(holdBudget)
          # Longest wait for the markers that prove the channels empty, in milliseconds.
          flushBound: \(flushBound)
        colour:
          # Longest time from the arming of the gates to their release in colour mode, in milliseconds.
          budget: \(colourBudget)
        agents:
          # Longest wait of a snapshot or restore for the agents of its hosts to dial in, in milliseconds.
          reconnectBound: \(reconnectBound)
        inventory:
          # Longest wait for an agent's list of VMs, in milliseconds.
          bound: \(inventoryBound)
        log:
          level: \(Self.quoted(logLevel))

        """
    }

    /// A double-quoted scalar. What YAML would not let through, or would fold, is escaped.
    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case " "..."~", "\u{A1}"..."\u{2027}", "\u{202A}"..."\u{D7FF}", "\u{E000}"..."\u{FEFE}",
                "\u{FF00}"..."\u{FFFD}", "\u{10000}"..."\u{10FFFF}":
                quoted.unicodeScalars.append(scalar)
            default:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\U" + String(repeating: "0", count: 8 - digits.count) + digits
            }
        }
        return quoted + "\""
    }

    /// What agents and command lines are told to dial.
    package var gatewayAddress: NetworkAddress { NetworkAddress(host: advertise, port: listen.port) }
    package var enrollmentAddress: NetworkAddress { NetworkAddress(host: advertise, port: enrollment.port) }
}
