import Crypto
import Foundation
import GRDB
package import SnapshotProtocol
package import WireProtocol

/// What the manager knows beside the repository: hosts, tokens, clusters, epochs. SQLite; several processes may use it.
package struct Catalog: Sendable {
    /// How far an epoch came.
    package enum SnapshotState: String, Sendable, Hashable, CaseIterable {
        case taking, sealed, aborted, deleted
    }

    private let queue: DatabaseQueue
    private let path: String

    /// Opens the catalog, makes it if need be, and brings it up to date.
    package init(path: String) throws(ManagerError) {
        self.path = path
        do {
            var configuration = Configuration()
            configuration.journalMode = .wal
            configuration.busyMode = .timeout(10)
            queue = try DatabaseQueue(path: path, configuration: configuration)
            try CatalogSchema.migrator.migrate(queue)
            guard try queue.read({ try !CatalogSchema.migrator.hasBeenSuperseded($0) }) else {
                throw ManagerError(
                    .unsupported, "The catalog \(path) is of a newer version of Holdfast. Run that version.")
            }
        } catch let error as ManagerError {
            throw error
        } catch {
            throw ManagerError(.internalError, "The catalog \(path) cannot be opened: \(error).")
        }
    }

    // MARK: Tokens and hosts

    package static func hash(_ secret: [UInt8]) -> [UInt8] { [UInt8](SHA256.hash(data: secret)) }

    /// Times are nanoseconds since 1970, here and below.
    package func addToken(secret: [UInt8], host: HostName, expiresAt: UInt64) async throws(ManagerError) {
        let hash = Self.hash(secret)
        try await write { database in
            try database.execute(
                sql: "INSERT INTO tokens (hash, host, expiresAt) VALUES (?, ?, ?)",
                arguments: [Data(hash), host.rawValue, Int64(clamping: expiresAt)])
        }
    }

    /// Uses a token up and records the host; the two happen together or not at all. `issue` makes the certificate and
    /// is called only when the token is good.
    package func enroll(
        secret: [UInt8], host: HostName, now: UInt64,
        issue: @escaping @Sendable () throws(ManagerError) -> CertificateAuthority.Issued
    ) async throws(ManagerError) -> CertificateAuthority.Issued {
        let hash = Data(Self.hash(secret))
        let advice = "Make a new one with `holdfast-manager token`."
        return try await write { database in
            let row = try Row.fetchOne(
                database, sql: "SELECT host, expiresAt, usedAt FROM tokens WHERE hash = ?", arguments: [hash])
            guard let row, row["host"] == host.rawValue else {
                throw ManagerError(.tokenRefused, "This manager gave out no such token for \(host). \(advice)")
            }
            guard (row["usedAt"] as Int64?) == nil else {
                throw ManagerError(.tokenRefused, "The token for \(host) has been used already. \(advice)")
            }
            let expiresAt: Int64 = row["expiresAt"]
            guard expiresAt > Int64(clamping: now) else {
                throw ManagerError(.tokenRefused, "The token for \(host) has expired. \(advice)")
            }
            let issued = try issue()
            try database.execute(
                sql: "UPDATE tokens SET usedAt = ? WHERE hash = ?", arguments: [Int64(clamping: now), hash])
            try database.execute(
                sql: """
                    INSERT INTO hosts (name, serial, enrolledAt) VALUES (?, ?, ?)
                    ON CONFLICT (name) DO UPDATE SET serial = excluded.serial, enrolledAt = excluded.enrolledAt
                    """,
                arguments: [host.rawValue, issued.serial, Int64(clamping: now)])
            return issued
        }
    }

    /// Records a session. Throws `.unauthorized` when the certificate is not the one issued last to that host.
    package func admit(_ hello: AgentHello, serial: String, now: UInt64) async throws(ManagerError) {
        let text = hello.hypervisors.joined(separator: " ")
        try await write { database in
            try database.execute(
                sql: "UPDATE hosts SET version = ?, hypervisors = ?, lastSeen = ? WHERE name = ? AND serial = ?",
                arguments: [hello.version, text, Int64(clamping: now), hello.host.rawValue, serial])
            guard database.changesCount == 1 else {
                throw ManagerError(
                    .unauthorized,
                    "The certificate of \(hello.host) is not the one that this manager issued last. Enrol the host again."
                )
            }
        }
    }

    package func sawLast(_ host: HostName, at now: UInt64) async throws(ManagerError) {
        try await write { database in
            try database.execute(
                sql: "UPDATE hosts SET lastSeen = ? WHERE name = ?",
                arguments: [Int64(clamping: now), host.rawValue])
        }
    }

    package func agents(connected: Set<HostName>) async throws(ManagerError) -> [AgentStatus] {
        try await read { database in
            try Row.fetchAll(database, sql: "SELECT name, version, hypervisors, lastSeen FROM hosts ORDER BY name").map
            {
                row in
                let host = HostName(row["name"])
                let hypervisors: String = row["hypervisors"]
                return AgentStatus(
                    host: host, connected: connected.contains(host), version: row["version"],
                    hypervisors: hypervisors.split(separator: " ").map(String.init),
                    lastSeen: (row["lastSeen"] as Int64?).map { UInt64(clamping: $0) })
            }
        }
    }

    // MARK: Clusters

    package func createCluster(_ name: String, members: [MemberName], now: UInt64) async throws(ManagerError) {
        try await write { database in
            guard try !Self.exists(name, in: database) else {
                throw ManagerError(.alreadyExists, "There is a cluster \(name) already. Choose another name.")
            }
            try database.execute(
                sql: "INSERT INTO clusters (name, createdAt) VALUES (?, ?)", arguments: [name, Int64(clamping: now)])
            for (position, member) in members.enumerated() {
                if let other = try String.fetchOne(
                    database, sql: "SELECT cluster FROM members WHERE name = ?", arguments: [member.rawValue])
                {
                    let text = "It is a member of the cluster \(other) already; a VM belongs to one cluster at most."
                    throw ManagerError(Failure(.memberInOtherCluster, member: member, text))
                }
                try database.execute(
                    sql: "INSERT INTO members (name, cluster, position) VALUES (?, ?, ?)",
                    arguments: [member.rawValue, name, position])
            }
        }
    }

    package func clusters() async throws(ManagerError) -> [ClusterSummary] {
        try await read { database in
            try String.fetchAll(database, sql: "SELECT name FROM clusters ORDER BY name").map { name in
                try Self.cluster(name, in: database)
            }
        }
    }

    package func cluster(_ name: String) async throws(ManagerError) -> ClusterSummary {
        try await read { database in
            guard try Self.exists(name, in: database) else { throw Self.noCluster(name) }
            return try Self.cluster(name, in: database)
        }
    }

    /// Its snapshots stay.
    package func deleteCluster(_ name: String) async throws(ManagerError) {
        try await write { database in
            try database.execute(sql: "DELETE FROM clusters WHERE name = ?", arguments: [name])
            guard database.changesCount == 1 else { throw Self.noCluster(name) }
        }
    }

    /// The cluster of every VM that is in one.
    package func memberships() async throws(ManagerError) -> [MemberName: String] {
        try await read { database in
            let rows = try Row.fetchAll(database, sql: "SELECT name, cluster FROM members")
            return Dictionary(uniqueKeysWithValues: rows.map { (MemberName($0["name"]), $0["cluster"]) })
        }
    }

    /// Where members run now. Those that are in no cluster are passed over.
    package func recordHosts(_ hosts: [MemberName: HostName]) async throws(ManagerError) {
        try await write { database in
            for (member, host) in hosts {
                try database.execute(
                    sql: "UPDATE members SET lastHost = ? WHERE name = ?",
                    arguments: [host.rawValue, member.rawValue])
            }
        }
    }

    package func lastHosts() async throws(ManagerError) -> [MemberName: HostName] {
        try await read { database in
            let rows = try Row.fetchAll(
                database, sql: "SELECT name, lastHost FROM members WHERE lastHost IS NOT NULL")
            return Dictionary(uniqueKeysWithValues: rows.map { (MemberName($0["name"]), HostName($0["lastHost"])) })
        }
    }

    // MARK: Epochs

    /// A number that this cluster never had, on disk before it is returned.
    package func nextEpoch(of cluster: String) async throws(ManagerError) -> Epoch {
        try await write { database in
            try database.execute(
                sql: """
                    INSERT INTO epochs (cluster, last) VALUES (?, 1)
                    ON CONFLICT (cluster) DO UPDATE SET last = last + 1
                    """,
                arguments: [cluster])
            let last = try Int64.fetchOne(
                database, sql: "SELECT last FROM epochs WHERE cluster = ?", arguments: [cluster])
            return Epoch(UInt64(clamping: last ?? 1))
        }
    }

    package func beginSnapshot(
        _ id: String, cluster: String, epoch: Epoch, now: UInt64
    ) async throws(ManagerError) {
        try await write { database in
            try database.execute(
                sql: "INSERT INTO snapshots (id, cluster, epoch, state, startedAt) VALUES (?, ?, ?, ?, ?)",
                arguments: [
                    id, cluster, Int64(clamping: epoch.rawValue), SnapshotState.taking.rawValue,
                    Int64(clamping: now),
                ])
        }
    }

    package func endSnapshot(
        _ id: String, as state: SnapshotState, reason: String? = nil
    ) async throws(ManagerError) {
        try await write { database in
            try database.execute(
                sql: "UPDATE snapshots SET state = ?, reason = ? WHERE id = ?",
                arguments: [state.rawValue, reason, id])
        }
    }

    package func snapshots(in state: SnapshotState) async throws(ManagerError) -> [String] {
        try await read { database in
            try String.fetchAll(
                database, sql: "SELECT id FROM snapshots WHERE state = ? ORDER BY startedAt, id",
                arguments: [state.rawValue])
        }
    }

    // MARK: Access

    private static func exists(_ cluster: String, in database: Database) throws -> Bool {
        try Bool.fetchOne(
            database, sql: "SELECT EXISTS (SELECT 1 FROM clusters WHERE name = ?)", arguments: [cluster]) ?? false
    }

    private static func cluster(_ name: String, in database: Database) throws -> ClusterSummary {
        let rows = try Row.fetchAll(
            database, sql: "SELECT name, lastHost FROM members WHERE cluster = ? ORDER BY position",
            arguments: [name])
        return ClusterSummary(
            name: name,
            members: rows.map { row in
                .init(name: MemberName(row["name"]), lastHost: (row["lastHost"] as String?).map { HostName($0) })
            })
    }

    private static func noCluster(_ name: String) -> ManagerError {
        ManagerError(.notFound, "There is no cluster \(name). `holdfast cluster list` shows those that there are.")
    }

    private func write<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(ManagerError) -> Value {
        do {
            return try await queue.write(body)
        } catch {
            throw mapped(error)
        }
    }

    private func read<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(ManagerError) -> Value {
        do {
            return try await queue.read(body)
        } catch {
            throw mapped(error)
        }
    }

    private func mapped(_ error: any Error) -> ManagerError {
        switch error {
        case let error as ManagerError: error
        case is CancellationError: ManagerError(.cancelled, "The call was cancelled.")
        default: ManagerError(.internalError, "The catalog \(path) cannot be used: \(error).")
        }
    }
}
