import SnapshotProtocol

/// Names of members and hosts by number, and back.
enum Names {
    private static let members = (0..<8).map { MemberName("m\($0)") }
    private static let hosts = (0..<8).map { HostName("d\($0)") }
    private static let key: [UInt8] = Array(repeating: 7, count: 32)

    static func member(_ number: Int) -> MemberName { members[number] }

    static func host(_ number: Int) -> HostName { hosts[number] }

    static func number(_ name: MemberName) -> Int { Int(name.rawValue.utf8.last!) - 48 }

    static func number(_ name: HostName) -> Int { Int(name.rawValue.utf8.last!) - 48 }

    static func plan(_ scenario: Scenario) -> SnapshotPlan {
        let placement = scenario.placement
        return SnapshotPlan(
            snapshot: "s1", cluster: "demo", epoch: Epoch(2), mode: scenario.mode,
            members: placement.indices.map { number in
                PlannedMember(name: member(number), host: host(placement[number]), machine: "machine", nics: [])
            },
            markerKey: key, holdBudget: Scenario.holdBudget, colourBudget: scenario.colourBudget,
            flushBound: scenario.flushBound)
    }
}
