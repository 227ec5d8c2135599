import GRDB

/// The catalog's tables, version by version. A migration that has been released is never changed.
enum CatalogSchema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1 hosts, tokens, clusters, epochs, snapshots") { database in
            try database.create(table: "hosts") { table in
                table.primaryKey("name", .text)
                // Of the certificate that was issued last: an older one no longer opens a session.
                table.column("serial", .text).notNull()
                table.column("enrolledAt", .integer).notNull()
                table.column("version", .text).notNull().defaults(to: "")
                // Separated by spaces.
                table.column("hypervisors", .text).notNull().defaults(to: "")
                table.column("lastSeen", .integer)
            }
            try database.create(table: "tokens") { table in
                // SHA-256 of the secret: who reads the catalog cannot enrol.
                table.primaryKey("hash", .blob)
                table.column("host", .text).notNull()
                table.column("expiresAt", .integer).notNull()
                table.column("usedAt", .integer)
            }
            try database.create(table: "clusters") { table in
                table.primaryKey("name", .text)
                table.column("createdAt", .integer).notNull()
            }
            try database.create(table: "members") { table in
                // A VM belongs to one cluster at most.
                table.primaryKey("name", .text)
                table.column("cluster", .text).notNull().indexed()
                    .references("clusters", onDelete: .cascade)
                table.column("position", .integer).notNull()
                table.column("lastHost", .text)
            }
            try database.create(table: "epochs") { table in
                // Outlives the cluster: a number is never used twice, not even by a cluster of the same name.
                table.primaryKey("cluster", .text)
                table.column("last", .integer).notNull()
            }
            try database.create(table: "snapshots") { table in
                table.primaryKey("id", .text)
                table.column("cluster", .text).notNull()
                table.column("epoch", .integer).notNull()
                table.column("state", .text).notNull()
                table.column("reason", .text)
                table.column("startedAt", .integer).notNull()
                table.uniqueKey(["cluster", "epoch"])
            }
        }
        return migrator
    }
}
