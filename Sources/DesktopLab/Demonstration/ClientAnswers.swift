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

        enum CodingKeys: String, CodingKey {
            case name, host, held, logged, method
            case pauseMilliseconds = "pause_ms"
            case holdMilliseconds = "hold_ms"
        }
    }

    package struct Snapshot: Decodable, Sendable {
        package var id: String
        package var sealed: Bool
        package var skewMilliseconds: Double
        package var packetsOutsideEpoch: UInt64
        package var members: [Member]

        enum CodingKeys: String, CodingKey {
            case id, sealed, members
            case skewMilliseconds = "skew_ms"
            case packetsOutsideEpoch = "user_space_packets_outside_epoch"
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
