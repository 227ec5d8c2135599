/// What `holdfast … --output json` prints, as far as the laboratory reads it.
package struct SnapshotAnswer: Decodable, Sendable {
    package struct Member: Decodable, Sendable {
        package var name: String
        package var host: String
        package var pauseMilliseconds: Double
        package var holdMilliseconds: Double
        package var held: UInt64
        package var logged: UInt64
        package var method: String
        /// Since the agent of that host started.
        package var packetsOutsideEpoch: UInt64

        enum CodingKeys: String, CodingKey {
            case name, host, held, logged, method
            case pauseMilliseconds = "pause_ms"
            case holdMilliseconds = "hold_ms"
            case packetsOutsideEpoch = "packets_outside_epoch"
        }
    }

    package struct Snapshot: Decodable, Sendable {
        package var id: String
        package var mode: String
        package var sealed: Bool
        package var skewMilliseconds: Double
        package var members: [Member]

        enum CodingKeys: String, CodingKey {
            case id, mode, sealed, members
            case skewMilliseconds = "skew_ms"
        }

        /// Over all hosts; members of one host report the same count.
        package var packetsOutsideEpoch: UInt64 {
            Dictionary(members.map { ($0.host, $0.packetsOutsideEpoch) }, uniquingKeysWith: max).values.reduce(0, +)
        }
    }

    package var snapshot: Snapshot
}

package struct RestoreAnswer: Decodable, Sendable {
    package struct Restore: Decodable, Sendable {
        package struct Member: Decodable, Sendable {
            package var name: String
            package var host: String
        }

        package var snapshot: String
        package var seconds: Double
        package var replayed: UInt64
        package var members: [Member]
    }

    package var restore: Restore
}
