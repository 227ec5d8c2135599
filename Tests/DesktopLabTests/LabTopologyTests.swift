import Testing

@testable import DesktopLab

@Suite struct LabTopologyTests {
    @Test func twoLabsShareNoNamespace() {
        let one = LabTopology(LabConfiguration(directory: "/var/lib/one"))
        let two = LabTopology(LabConfiguration(directory: "/var/lib/two"))
        #expect(Set(one.namespaces).isDisjoint(with: two.namespaces))
        #expect(one.uuid(ofMachine: 1) != two.uuid(ofMachine: 1))
    }

    @Test func namesFollowFromTheConfigurationAlone() {
        let configuration = LabConfiguration(desktops: 2, machines: 3, directory: "/tmp/lab")
        #expect(LabTopology(configuration).namespaces == LabTopology(configuration).namespaces)
        #expect(LabTopology(configuration).namespaces.count == 4)
    }

    @Test func machinesAreDealtOutInTurn() {
        let topology = LabTopology(LabConfiguration(desktops: 3, machines: 4))
        #expect((1...4).map(topology.desktop(ofMachine:)) == [1, 2, 3, 1])
    }

    @Test func addressesAndIdentitiesAreDistinct() {
        let topology = LabTopology(LabConfiguration(desktops: 60, machines: 100))
        let addresses =
            [topology.managerAddress] + (1...60).map(topology.address(ofDesktop:))
            + (1...100).map(topology.address(ofMachine:))
        #expect(Set(addresses).count == 161)
        #expect(Set((1...100).map { topology.mac(ofMachine: $0) }).count == 100)
        let uuids = (1...100).map(topology.uuid(ofMachine:))
        #expect(Set(uuids).count == 100)
        #expect(uuids.allSatisfy { $0.count == 36 && $0 == $0.lowercased() })
    }

    /// A second path between two bridges would be a loop, and nothing here would break it.
    @Test func theNetworkIsAStar() {
        let topology = LabTopology(LabConfiguration(desktops: 5, machines: 0))
        let links = topology.networkCommands.filter { $0.contains("veth") }
        #expect(links.count == 6)
        #expect(links.allSatisfy { $0[1] == topology.switchNamespace })
        let far = links.compactMap(\.last)
        #expect(Set(far) == Set(topology.namespaces).subtracting([topology.switchNamespace]))
    }

    @Test func interfaceNamesFit() {
        let topology = LabTopology(LabConfiguration(desktops: 60, machines: 0))
        for command in topology.networkCommands where command.contains("veth") {
            for option in ["add", "name"] {
                let name = command[command.firstIndex(of: option)! + 1]
                #expect(name.utf8.count <= 15, "\(name)")
            }
        }
    }

    @Test(arguments: [
        LabConfiguration(desktops: 0), LabConfiguration(machines: -1), LabConfiguration(machines: 101),
        LabConfiguration(memory: 16), LabConfiguration(directory: "lab"), LabConfiguration(directory: "/"),
        LabConfiguration(rate: 0),
        LabConfiguration(directory: "/" + String(repeating: "x", count: 60)),
    ])
    func nonsenseIsRefused(_ configuration: LabConfiguration) {
        #expect(throws: LabError.self) { try configuration.validate() }
    }

    @Test func theDefaultIsAccepted() throws {
        try LabConfiguration().validate()
    }
}
