/// What `make demo` writes for programs. Times in milliseconds unless named otherwise.
package struct DemonstrationReport: Codable, Sendable {
    package struct Segments: Codable, Sendable {
        package var held: UInt64
        package var logged: UInt64
    }

    package struct Connections: Codable, Sendable {
        package var total: Int
        package var survived: Int
    }

    package struct Restore: Codable, Sendable {
        package var seconds: Double
        package var connections: Connections
        package var mismatches: UInt64
        package var stallMilliseconds: UInt64
        package var stallWithoutReplayMilliseconds: UInt64

        enum CodingKeys: String, CodingKey {
            case seconds, connections, mismatches
            case stallMilliseconds = "stall_ms"
            case stallWithoutReplayMilliseconds = "stall_ms_without_replay"
        }
    }

    package struct Control: Codable, Sendable {
        package var connections: Connections
    }

    /// What ran the guests.
    package var hypervisor: String
    package var members: Int
    package var desktops: Int
    package var sealed: Bool
    package var pauses: [Double]
    package var holds: [Double]
    package var skew: Double
    package var segments: Segments
    package var restore: Restore
    package var control: Control
    package var packetsOutsideEpoch: UInt64

    enum CodingKeys: String, CodingKey {
        case hypervisor, members, desktops, sealed, segments, restore, control
        case pauses = "pause_ms"
        case holds = "hold_ms"
        case skew = "skew_ms"
        case packetsOutsideEpoch = "user_space_packets_outside_epoch"
    }

}
