package import SnapshotProtocol
package import WireProtocol

extension ModeChoice {
    /// From so many hosts on `auto` is colour mode: hold mode makes every member wait for the slowest host of all.
    package static let manyHosts = 8

    /// `outlastsHold`: the cluster's last snapshot in hold mode was given up because a gate would have held too long.
    package func mode(hosts: Int, outlastsHold: Bool) -> SnapshotMode {
        switch self {
        case .hold: .hold
        case .colour: .colour
        case .auto: hosts >= Self.manyHosts || outlastsHold ? .colour : .hold
        }
    }
}
